import { start } from '../../ui/start';
import LabPage from './LabPage.svelte';

start(LabPage);
