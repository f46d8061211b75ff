import { start } from '../../ui/start';
import Home from './Home.svelte';

start(Home);
