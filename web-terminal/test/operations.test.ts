import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { en } from '../src/i18n/en';
import { setLanguage } from '../src/i18n/index.svelte';
import { byReason, bytes, idle, late, LATE_S, unlisted } from '../src/pages/operations/counts';

const row = (reason: string, lab: string, count: number, last_at = 0, after_ready = false) => ({ reason, lab, count, last_at, after_ready });

describe('failures', () => {
  it('of one reason stand together, the most frequent first, with their labs', () => {
    const reasons = byReason([row('image-missing', 'ospf', 3, 10), row('lab-failed', 'bgp', 4, 5), row('image-missing', 'bgp', 2, 20)]);
    expect(reasons.map(({ key, count, last_at }) => [key, count, last_at])).toEqual([['image-missing', 5, 20], ['lab-failed', 4, 5]]);
    expect(reasons[0]!.labs).toEqual([{ lab: 'ospf', count: 3 }, { lab: 'bgp', count: 2 }]);
  });

  it('that took work with them are told apart from starts that came to nothing', () => {
    const reasons = byReason([row('sandbox-lost', 'ospf', 1, 1), row('sandbox-lost', 'ospf', 1, 2, true)]);
    expect(reasons.map(({ key }) => key)).toEqual(['sandbox-lost-after', 'sandbox-lost']);
  });

  it('each have a sentence and what to do, whatever the server can say', () => {
    const core = (file: string) => readFileSync(new URL(`../../orchestrator/lab-core/src/${file}`, import.meta.url), 'utf8');
    const [, ends, fails] = core('provisioning/state.rs').split('reasons!(');
    const codes = (text: string) => new Map([...text.matchAll(/(\w+) = "([a-z-]+)"/g)].map(([, variant, code]) => [variant!, code!]));
    const lost = /is_failure[\s\S]*?matches!\(\s*self,\s*([^)]*)\)/.exec(core('operations.rs'))![1]!.match(/(?<=Self::)\w+/g)!;
    const keys = [...codes(fails!.split('\n);')[0]!).values(), ...lost.map((variant) => `${codes(ends!).get(variant)}-after`)];
    expect(keys.length).toBeGreaterThan(8);
    for (const key of keys) {
      expect(en).toHaveProperty([`fail.${key}`]);
      expect(en).toHaveProperty([`fail.${key}.do`]);
    }
  });
});

describe('a lease', () => {
  it('is idle when somebody should hold it and it was given back or has expired', () => {
    const lease = { name: 'meter', always: true, epoch: 1, holder: 'a' };
    expect(idle({ ...lease, expires_in_s: 0 })).toBe(false);
    expect(idle({ ...lease, always: false, expires_in_s: -9 })).toBe(false);
    expect(idle({ ...lease, expires_in_s: -1 })).toBe(true);
    expect(idle({ ...lease, holder: null, expires_in_s: null })).toBe(true);
  });
});

describe('what is said of a pause', () => {
  it('has the length that the server takes', () => {
    const rust = readFileSync(new URL('../../orchestrator/lab-core/src/operations.rs', import.meta.url), 'utf8');
    const page = readFileSync(new URL('../src/pages/operations/Drain.svelte', import.meta.url), 'utf8');
    expect(/REASON_MAX = (\d+)/.exec(page)![1]).toBe(/PAUSE_REASON_CHARS_MAX: usize = (\d+)/.exec(rust)![1]);
  });
});

describe('damaged uploads', () => {
  it('beyond the list are counted too', () => {
    const session = (n: number) => ({ session: `s${n}`, objects: n, prefix: `quarantine/recordings/s${n}/` });
    expect(unlisted({ code: null, objects: 8, sessions: [session(3), session(2)] })).toBe(3);
    expect(unlisted({ code: null, objects: 5, sessions: [session(3), session(2)] })).toBe(0);
    expect(unlisted({ code: 'blobs-unavailable', objects: 0, sessions: [] })).toBe(0);
  });
});

it('bytes are said in the unit that fits, and a second is not late', () => {
  expect([bytes(0), bytes(1023), bytes(1024), bytes(3 * 1048576)]).toEqual(['0 B', '1023 B', '1.0 KiB', '3.0 MiB']);
  vi.stubGlobal('document', { documentElement: {} });
  setLanguage('fr');
  expect([736, 1536, 3 * 1048576].map(bytes)).toEqual(['736 o', '1,5 Kio', '3,0 Mio']);
  setLanguage('en');
  vi.unstubAllGlobals();
  expect(LATE_S).toBeGreaterThan(1);
});

it('what has had its time for a day is not going by itself', () => {
  const of = (overdue_s: number) => ({ code: null, classes: [{ class: 'audit', due: 1, overdue_s, removed: 0, removed_at: null }] });
  expect(late(of(3600))).toBe(false);
  expect(late(of(90_000))).toBe(true);
});
