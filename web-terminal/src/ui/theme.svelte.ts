/** Colours of the pages and of the terminals in them. */
import type { ITheme } from '@xterm/xterm';
import { recall, remember } from './keep';

export const THEMES = ['dark', 'light', 'contrast'] as const;
export type Theme = (typeof THEMES)[number];

function first(): Theme {
  const kept = recall('theme');
  if (THEMES.includes(kept as Theme)) return kept as Theme;
  if (matchMedia('(prefers-contrast: more)').matches) return 'contrast';
  return matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark';
}

let current = $state<Theme>(first());
document.documentElement.dataset['theme'] = current;

export function theme(): Theme {
  return current;
}

export function setTheme(next: Theme): void {
  current = next;
  remember('theme', next);
  document.documentElement.dataset['theme'] = next;
}

const dark: ITheme = {
  background: '#0b0e14', foreground: '#e4e8f1', cursor: '#84a9ff', cursorAccent: '#0b0e14', selectionBackground: '#33508f',
  black: '#1b2130', red: '#ff7b72', green: '#7ee2a8', yellow: '#f2cc60', blue: '#84a9ff', magenta: '#d2a8ff', cyan: '#76e3ea', white: '#d6dbe6',
  brightBlack: '#7f8aa3', brightRed: '#ffa198', brightGreen: '#a5f0c5', brightYellow: '#f9e08e', brightBlue: '#adc6ff', brightMagenta: '#e2c5ff', brightCyan: '#a8f0f4', brightWhite: '#ffffff',
};
const light: ITheme = {
  background: '#ffffff', foreground: '#161b26', cursor: '#1d55e0', cursorAccent: '#ffffff', selectionBackground: '#c5d5ff',
  black: '#161b26', red: '#b3261e', green: '#0b6b3a', yellow: '#8a4b00', blue: '#1d55e0', magenta: '#8a2fb8', cyan: '#006b75', white: '#5a6275',
  brightBlack: '#4b5468', brightRed: '#c9382f', brightGreen: '#0f7f47', brightYellow: '#9c5a00', brightBlue: '#2f66ef', brightMagenta: '#9c42ca', brightCyan: '#007b86', brightWhite: '#161b26',
};
const contrast: ITheme = {
  ...dark, background: '#000000', foreground: '#ffffff', cursor: '#ffe14d', selectionBackground: '#5c5200',
  black: '#000000', brightBlack: '#bdbdbd', white: '#ffffff',
};

/** The terminal's palette, and the contrast below which xterm.js lightens or darkens a program's own colours. */
export function terminalTheme(name: Theme): { theme: ITheme; contrast: number } {
  if (name === 'light') return { theme: light, contrast: 4.5 };
  return name === 'contrast' ? { theme: contrast, contrast: 7 } : { theme: dark, contrast: 4.5 };
}
