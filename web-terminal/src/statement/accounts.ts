/** What the accounts page computes. */
import type { AlertRow } from '../api/types';

export interface Days { from: string; to: string }

const pad = (n: number) => String(n).padStart(2, '0');
const day = (date: Date) => `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`;

/** The month of a date, first and last day. */
export function monthOf(date: Date): Days {
  return { from: day(new Date(date.getFullYear(), date.getMonth(), 1)), to: day(new Date(date.getFullYear(), date.getMonth() + 1, 0)) };
}

/** Midnight of the reader, Unix seconds; by the calendar, so that a day of 23 or 25 hours is one day. */
function midnight(text: string, later: number): number {
  const [year = 1970, month = 1, date = 1] = text.split('-').map(Number);
  return Math.floor(new Date(year, month - 1, date + later).getTime() / 1000);
}

/** The period that is asked for: the last day is in it. */
export function days({ from, to }: Days): { from: string; until: string } {
  return { from: String(midnight(from, 0)), until: String(midnight(to, 1)) };
}

export function euros(micro: number, language: string): string {
  return new Intl.NumberFormat(language, { style: 'currency', currency: 'EUR' }).format(micro / 1e6);
}

/** Whom an alert is about. */
export const alertWho = (a: AlertRow) => [a.learner, a.course, a.sponsor].filter((name) => name != null).join(' · ');
