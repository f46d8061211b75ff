import { expect, it } from 'vitest';
import type { Enrolment } from '../src/api/types';
import { arranged, cohorts, members, STUCK_S, type Seen } from '../src/live/order';
import { learnerAddress, whom } from '../src/pages/learner/address';

const card = (name: string, change: Partial<Seen> = {}): Seen => ({
  session: name, subject: name, name, lab: 'l', state: 'ready', reason: null, terminal: 'r1', screen: [], last_command: null, idle_s: 0,
  checks_passed: 0, checks_total: 4, points: 0, points_total: 10, away: false, viewers: [], quiet_s: 0, ...change,
});

const names = (cards: Seen[]) => cards.map(({ name }) => name);

it('those who need help come first: failed, paused for want of time, stuck the longest, out of contact, quiet; done and starting last', () => {
  const cards = [
    card('done', { checks_passed: 4, quiet_s: 9999 }),
    card('busy', { quiet_s: 5 }),
    card('starting', { state: 'provisioning' }),
    card('stuck', { quiet_s: STUCK_S }),
    card('longer', { quiet_s: STUCK_S * 2 }),
    card('failed', { state: 'failed' }),
    card('away', { away: true }),
    card('out of time', { state: 'frozen' }),
    card('out of time, but done', { state: 'frozen', checks_passed: 4 }),
  ];
  expect(names(arranged(cards, 'help', 'all', ''))).toEqual(['failed', 'out of time', 'longer', 'stuck', 'away', 'busy', 'out of time, but done', 'starting', 'done']);
  expect(names(arranged(cards, 'help', 'stuck', ''))).toEqual(['failed', 'out of time', 'longer', 'stuck']);
});

it('the rest are found by name, and by how little they have passed', () => {
  const cards = [card('Émile', { checks_passed: 3 }), card('Zoé', { checks_passed: 1 }), card('Eve', { checks_passed: 2, state: 'queued' })];
  expect(names(arranged(cards, 'name', 'all', ''))).toEqual(['Émile', 'Eve', 'Zoé']);
  expect(names(arranged(cards, 'progress', 'all', ''))).toEqual(['Zoé', 'Eve', 'Émile']);
  expect(names(arranged(cards, 'name', 'all', 'zo'))).toEqual(['Zoé']);
  expect(names(arranged(cards, 'name', 'running', ''))).toEqual(['Émile', 'Zoé']);
});

it('a teacher sees their own learners, or a cohort; who is on no list is seen among all', () => {
  const person = (subject: string, cohort: string | null, mine: boolean): Enrolment => ({ subject, name: subject, cohort, mine, site: null, coach: null, external: null, plan: null, enrolled_at: 0 });
  const people = [person('ada', 'Été', true), person('lin', 'Automne', false), person('zoe', 'Été', false), person('max', null, true)];
  const cards = ['ada', 'lin', 'zoe', 'max', 'guest'].map((name) => card(name));
  const seen = (group: Parameters<typeof members>[1]) => names(arranged(cards, 'name', 'all', '', members(people, group)));
  expect(cohorts(people)).toEqual(['Automne', 'Été']);
  expect(seen('')).toEqual(['ada', 'guest', 'lin', 'max', 'zoe']);
  expect(seen('mine')).toEqual(['ada', 'max']);
  expect(seen('cohort:Été')).toEqual(['ada', 'zoe']);
});

it('an address of a learner’s page leads back to whom it is about, and tells no server', () => {
  for (const who of [{ subject: 'lms.example.org#7f3a&course=x' }, { subject: 'zoé %', course: 'lms.example.org#net+1' }]) {
    const address = new URL(learnerAddress(who), 'https://labs.example.org');
    expect(address.pathname + address.search).toBe('/learner');
    expect(whom(address.hash)).toEqual(who);
  }
  expect(whom('')).toBeNull();
});
