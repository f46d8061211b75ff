/** How consoles look and are read, remembered in this browser. */
import { recall, remember } from '../ui/keep';
import { theme } from '../ui/theme.svelte';
import type { Looks } from './emulator';

const FONT_MIN = 9;
const FONT_MAX = 28;

let fontSize = $state(Number(recall('font-size')) || 14);
let reader = $state(recall('reader') === '1');

export function looks(): Looks {
  return { theme: theme(), fontSize, reader };
}

export function changeFontSize(by: number): void {
  fontSize = Math.max(FONT_MIN, Math.min(FONT_MAX, fontSize + by));
  remember('font-size', String(fontSize));
}

export function setReader(on: boolean): void {
  reader = on;
  remember('reader', on ? '1' : '0');
}
