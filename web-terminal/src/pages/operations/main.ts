import { start } from '../../ui/start';
import Operations from './Operations.svelte';

start(Operations);
