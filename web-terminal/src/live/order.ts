/** Which learners a teacher should look at first. Pure, so that the rule can be read and tested. */
import type { Enrolment } from '../api/types';
import type { Card } from '../protocol/messages';

export type Sort = 'help' | 'name' | 'progress';
export type Filter = 'all' | 'stuck' | 'running';

/** Without a command or a newly passed check for this long, a running learner is called stuck. Reading a step takes about
 *  three minutes; twice that and nothing typed is worth a look. */
export const STUCK_S = 360;

export interface Seen extends Card {
  /** Seconds since progress, counted on from the last message. */
  quiet_s: number;
}

export function done(card: Card): boolean {
  return card.checks_total > 0 && card.checks_passed === card.checks_total;
}

/** Paused since the learner's time ran out: nothing goes on until somebody does something. */
export function outOfTime(card: Card): boolean {
  return card.state === 'frozen' && !done(card);
}

export function stuck(card: Seen): boolean {
  return card.state === 'failed' || outOfTime(card) || (card.state === 'ready' && !done(card) && card.quiet_s >= STUCK_S);
}

/** Higher is sooner: failed starts, then those out of time and those stuck, each by how long, then the others by how long; those who are done come last. */
function need(card: Seen): number {
  if (card.state === 'failed') return 4e9;
  if (outOfTime(card)) return 3e9 + card.quiet_s;
  if (card.state !== 'ready') return card.away ? 1e9 : -1;
  if (done(card)) return -2;
  return (card.away ? 1e9 : 0) + (stuck(card) ? 2e9 : 0) + card.quiet_s;
}

const share = (card: Card) => (card.checks_total ? card.checks_passed / card.checks_total : 0);

/** Part of a course: everybody, those whom the teacher who looks coaches, or a cohort. */
export type Group = '' | 'mine' | `cohort:${string}`;

/** Cohorts there are, by name. */
export function cohorts(people: Enrolment[]): string[] {
  return [...new Set(people.flatMap((person) => person.cohort ?? []))].sort((a, b) => a.localeCompare(b));
}

/** Who belongs to a group; null: everybody, also who is on no list. */
export function members(people: Enrolment[], group: Group): Set<string> | null {
  if (group === '') return null;
  return new Set(people.filter((person) => (group === 'mine' ? person.mine : `cohort:${person.cohort}` === group)).map((person) => person.subject));
}

export function arranged(cards: Seen[], sort: Sort, filter: Filter, query: string, only: Set<string> | null = null): Seen[] {
  const wanted = query.trim().toLocaleLowerCase();
  const byName = (a: Seen, b: Seen) => a.name.localeCompare(b.name) || a.session.localeCompare(b.session);
  const by: Record<Sort, (a: Seen, b: Seen) => number> = {
    name: byName,
    progress: (a, b) => share(a) - share(b) || byName(a, b),
    help: (a, b) => need(b) - need(a) || byName(a, b),
  };
  return cards
    .filter((card) => only?.has(card.subject) ?? true)
    .filter((card) => card.name.toLocaleLowerCase().includes(wanted))
    .filter((card) => filter === 'all' || (filter === 'stuck' ? stuck(card) : card.state === 'ready'))
    .sort(by[sort]);
}
