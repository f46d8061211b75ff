/** What every page does first: styles, regions, the component. */
import { mount, type Component } from 'svelte';
import { staySignedIn } from '../api/client';
import { arrive, followLinks } from '../api/store';
import './base.css';
import { cycleRegions } from './regions';
import SignedOut from './SignedOut.svelte';

export function start(page: Component): void {
  arrive();
  const target = document.getElementById('page');
  if (!target) throw new Error('the page has no #page element to draw into');
  addEventListener('keydown', (event) => {
    if (event.key === 'F6' && !event.ctrlKey && !event.altKey && !event.metaKey) {
      event.preventDefault();
      cycleRegions(event.shiftKey);
    }
  });
  staySignedIn();
  followLinks();
  mount(page, { target });
  mount(SignedOut, { target: document.body });
}
