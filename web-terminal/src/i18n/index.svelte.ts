/** The language of a page: from the browser at first, then what the person chose. Keys are typed; both languages have all. */
import type { Bilingual } from '../api/types';
import { recall, remember } from '../ui/keep';
import { en } from './en';
import { fr } from './fr';

export type Key = keyof typeof en;
export type Language = 'en' | 'fr';

const texts: Record<Language, Record<Key, string>> = { en, fr };

function first(): Language {
  const kept = recall('language');
  if (kept === 'en' || kept === 'fr') return kept;
  const asked = typeof navigator === 'undefined' ? [] : (navigator.languages ?? [navigator.language]);
  return asked.find((tag) => /^(en|fr)/.test(tag))?.startsWith('fr') ? 'fr' : 'en';
}

let current = $state<Language>(first());
if (typeof document !== 'undefined') document.documentElement.lang = current;

export function language(): Language {
  return current;
}

export function setLanguage(next: Language): void {
  current = next;
  remember('language', next);
  document.documentElement.lang = next;
}

/** The text of a key; `{name}` parts are replaced. A plural number `n` takes the key with `_n`, where there is one. */
export function t(key: Key, values: Record<string, string | number> = {}): string {
  const n = values['n'];
  // None is plural in English (0 learners) and singular in French (0 apprenant).
  const many = typeof n === 'number' && (n > 1 || (n === 0 && current === 'en')) ? texts[current][`${key}_n` as Key] : undefined;
  return (many ?? texts[current][key]).replace(/\{(\w+)\}/g, (whole, name: string) => String(values[name] ?? whole));
}

/** The text of a key made at run time (a code from the server), or null when there is none. */
export function maybe(key: string): string | null {
  return texts[current][key as Key] ?? null;
}

/** Why a session ended, as it is told to somebody other than its learner. */
export function reasonTold(reason: string): string {
  return maybe(`reason-told.${reason}`) ?? maybe(`reason.${reason}`) ?? reason;
}

/** A lab's own text in the page's language. */
export function own(text: Bilingual): string {
  return text[current] || text.en;
}

/** `1:05`, `12:00`, `1:02:03`. */
export function clockTime(seconds: number): string {
  const s = Math.max(0, Math.floor(seconds));
  const parts = [Math.floor(s / 3600), Math.floor(s / 60) % 60, s % 60];
  const shown = parts[0] ? parts : parts.slice(1);
  return shown.map((part, i) => (i ? String(part).padStart(2, '0') : String(part))).join(':');
}

/** `45 s`, `12 min`, `2 h 05`. */
export function span(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.round(s / 60)} min`;
  const minutes = Math.round(s / 60);
  return `${Math.floor(minutes / 60)} h ${String(minutes % 60).padStart(2, '0')}`;
}

/** Whether a Unix second is of today, where this browser is. */
export function isToday(unix: number): boolean {
  return new Date(unix * 1000).toDateString() === new Date().toDateString();
}

/** The time of a Unix second, with its date when that is not today's. */
export function when(unix: number): string {
  return isToday(unix) ? new Date(unix * 1000).toLocaleTimeString(current, { timeStyle: 'short' }) : moment(unix);
}

/** Date and time of a Unix second. */
export function moment(unix: number): string {
  return new Date(unix * 1000).toLocaleString(current, { dateStyle: 'medium', timeStyle: 'short' });
}

/** The same as a clock in a time zone shows it, with the zone's name; without a zone, or with one that this browser does not know, in UTC. */
export function momentIn(unix: number, zone: string | null | undefined): string {
  // `timeZoneName` cannot be said together with styles
  const parts = { year: 'numeric', month: 'long', day: 'numeric', hour: '2-digit', minute: '2-digit', timeZoneName: 'short' } as const;
  const shown = (timeZone: string) => new Date(unix * 1000).toLocaleString(current, { ...parts, timeZone });
  try {
    return shown(zone || 'UTC');
  } catch {
    return shown('UTC');
  }
}

/** A share as people write it: `14.4 %`, `14,4 %`; a share of nothing is a dash. */
export function percent(share: number | null | undefined): string {
  return share == null ? '–' : new Intl.NumberFormat(current, { style: 'percent', minimumFractionDigits: 1, maximumFractionDigits: 1 }).format(share / 100);
}

/** The day alone, for columns. */
export function day(unix: number): string {
  return new Date(unix * 1000).toLocaleDateString(current, { day: 'numeric', month: 'short' });
}
