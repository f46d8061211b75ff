import { start } from '../../ui/start';
import Office from './Office.svelte';

start(Office);
