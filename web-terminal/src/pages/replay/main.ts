import { start } from '../../ui/start';
import Replay from './Replay.svelte';

start(Replay);
