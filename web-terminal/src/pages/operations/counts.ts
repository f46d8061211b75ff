/** What the overview's numbers come to. */
import type { Overview } from '../../api/types';
import { language } from '../../i18n/index.svelte';

export type FailureRow = Overview['failures']['rows'][number];
export type LeaseRow = Overview['leases']['tasks'][number];

/** A recorder whose oldest byte waits longer than this is no longer only busy: a chunk is written every quarter of a second. */
export const LATE_S = 5;

export interface Reason {
  /** Key of the texts: losing a lab that ran is another matter than one that never started. */
  key: string;
  reason: string;
  count: number;
  last_at: number;
  labs: { lab: string; count: number }[];
}

/** The rows of one reason together, most frequent first. */
export function byReason(rows: FailureRow[]): Reason[] {
  const all = new Map<string, Reason>();
  for (const { reason, after_ready, lab, count, last_at } of rows) {
    const key = after_ready ? `${reason}-after` : reason;
    const one = all.get(key) ?? { key, reason, count: 0, last_at: 0, labs: [] };
    one.count += count;
    one.last_at = Math.max(one.last_at, last_at);
    one.labs.push({ lab, count });
    all.set(key, one);
  }
  return [...all.values()].sort((a, b) => b.count - a.count || b.last_at - a.last_at);
}

/** Nobody holds it now, given back or expired. */
export const free = (lease: LeaseRow) => lease.expires_in_s == null || lease.expires_in_s < 0;

/** Work that somebody should do at all times and nobody does: the next process takes it within seconds, or there is none. */
export const idle = (lease: LeaseRow) => lease.always && free(lease);

export const sum = (counts: Iterable<number>) => [...counts].reduce((total, count) => total + count, 0);

/** Damaged uploads that the list of sessions does not name: of sessions beyond it, or whose names say no session. */
export const unlisted = (quarantine: Overview['quarantine']) => quarantine.objects - sum(quarantine.sessions.map(({ objects }) => objects));

/** The sweep runs every few minutes; what it left for a day it cannot take. */
const OVERDUE_S = 86_400;
export const late = (retention: Overview['retention']) => retention.classes.some(({ overdue_s }) => overdue_s > OVERDUE_S);

/** `736 B`, `1.5 KiB`; in French `736 o`, `1,5 Kio`. */
export function bytes(n: number): string {
  const unit = language() === 'fr' ? 'o' : 'B';
  const tenths = (value: number) => value.toLocaleString(language(), { minimumFractionDigits: 1, maximumFractionDigits: 1 });
  if (n < 1024) return `${n} ${unit}`;
  return n < 1048576 ? `${tenths(n / 1024)} Ki${unit}` : `${tenths(n / 1048576)} Mi${unit}`;
}
