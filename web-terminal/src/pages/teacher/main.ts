import { start } from '../../ui/start';
import Teacher from './Teacher.svelte';

start(Teacher);
