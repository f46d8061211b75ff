import { describe, expect, test } from 'vitest';
import { alertWho, days, monthOf } from '../src/statement/accounts';

describe('the accounts page', () => {
  test('a month has its first and its last day, in a leap year too', () => {
    expect(monthOf(new Date(2028, 1, 15))).toEqual({ from: '2028-02-01', to: '2028-02-29' });
    expect(monthOf(new Date(2026, 11, 31))).toEqual({ from: '2026-12-01', to: '2026-12-31' });
  });

  test('the last day is in the period, whole, and periods that meet share no second', () => {
    const october = days({ from: '2026-10-01', to: '2026-10-31' });
    const november = days({ from: '2026-11-01', to: '2026-11-30' });
    expect(october.until).toBe(november.from);
    expect(Number(october.until) - new Date(2026, 9, 31, 23, 59, 59).getTime() / 1000).toBe(1);
  });

  test('an alert says whom it is about', () => {
    expect(alertWho({ of: 'learner', learner: 'ada', course: 'net', at: 0, percent: 80, basis_seconds: 1, spent_seconds: 1, sent: [] })).toBe('ada · net');
  });
});
