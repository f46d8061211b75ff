import { start } from '../../ui/start';
import Learner from './Learner.svelte';

start(Learner);
