import { start } from '../../ui/start';
import Launch from './Launch.svelte';

start(Launch);
