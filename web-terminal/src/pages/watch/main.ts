import { start } from '../../ui/start';
import Watch from './Watch.svelte';

start(Watch);
