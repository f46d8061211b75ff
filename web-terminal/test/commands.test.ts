import { expect, it } from 'vitest';
import { withTold, type LiveCommand } from '../src/terminal/commands';

const told = (text: string, at_us: number, end: { status?: number; took_us?: number } = {}, terminal = 0): LiveCommand => ({ text, at_us, terminal, ...end });
const list = (...all: LiveCommand[]) => all.reduce<LiveCommand[]>(withTold, []);

it('a router’s command is listed once: its end has a time and no status', () => {
  expect(list(told('show ip route', 1), told('show ip route', 9, { took_us: 8 }))).toEqual([told('show ip route', 1, { took_us: 8 })]);
});

it('a shell’s command is listed once, with its status', () => {
  expect(list(told('false', 1), told('false', 2, { status: 1, took_us: 1 }))).toEqual([told('false', 1, { status: 1, took_us: 1 })]);
});

it('the same command entered again, or in another console, is another one', () => {
  const all = list(told('ping', 1), told('ping', 2, {}, 1), told('ping', 3, { took_us: 2 }), told('ping', 4), told('ping', 5, { took_us: 3 }, 1));
  expect(all.map(({ at_us, terminal, took_us }) => [at_us, terminal, took_us])).toEqual([[1, 0, 2], [2, 1, 3], [4, 0, undefined]]);
});

it('an end whose beginning was before this page is listed, and so is a later beginning', () => {
  expect(list(told('ls', 5, { took_us: 1 }), told('ls', 6))).toHaveLength(2);
});

it('the newest five hundred are kept', () => {
  const all = list(...Array.from({ length: 501 }, (_, i) => told(`c${i}`, i)));
  expect([all.length, all[0]!.text]).toEqual([500, 'c1']);
});
