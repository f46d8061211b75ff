import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { en } from '../src/i18n/en';
import { fr } from '../src/i18n/fr';
import { clockTime, momentIn, reasonTold, setLanguage, span } from '../src/i18n/index.svelte';

const parts = (text: string) => [...text.matchAll(/\{(\w+)\}/g)].map((part) => part[1]).sort();

/** Rust's reasons and codes, read from where they are declared: a new one without a text fails here. */
function codes(file: string, block: RegExp, code: RegExp): string[] {
  const text = readFileSync(new URL(`../../orchestrator/lab-core/src/${file}`, import.meta.url), 'utf8');
  return [...(block.exec(text)?.[0] ?? '').matchAll(code)].map((found) => found[1]!);
}

describe('French and English', () => {
  it('have the same keys', () => {
    expect(Object.keys(fr)).toEqual(Object.keys(en));
  });

  it.each(Object.keys(en) as (keyof typeof en)[])('%s: is said in both, with the same parts', (key) => {
    expect(en[key].trim()).not.toBe('');
    expect(fr[key].trim()).not.toBe('');
    expect(parts(fr[key])).toEqual(parts(en[key]));
  });

  it('say every reason a session can end or fail for', () => {
    const reasons = codes('provisioning/state.rs', /reasons!\([\s\S]*\n\);/, /\w+ = "([a-z-]+)"/g);
    expect(reasons.length).toBeGreaterThan(10);
    for (const reason of reasons) expect(en).toHaveProperty([`reason.${reason}`]);
  });

  it('speak of the learner, not to them, where a teacher reads why a session ended', () => {
    const reasons = Object.keys(en).filter((key) => /^reason\./.test(key)).map((key) => key.slice('reason.'.length));
    vi.stubGlobal('document', { documentElement: {} });
    for (const language of ['en', 'fr'] as const) {
      setLanguage(language);
      for (const reason of reasons) expect(reasonTold(reason)).not.toMatch(/\b(you|your|vous|votre|vos)\b/i);
    }
    setLanguage('en');
    vi.unstubAllGlobals();
    expect(reasonTold('a-new-one')).toBe('a-new-one');
  });

  it('say every refusal of a launch and its next step', () => {
    const refusals = codes('launch/mod.rs', /impl LaunchRefusal[\s\S]*\n}/, /"(launch-[a-z-]+)"/g);
    expect(refusals.length).toBeGreaterThan(5);
    for (const code of refusals) {
      expect(en).toHaveProperty([`error.${code}`]);
      expect(en).toHaveProperty([`error.${code}.next`]);
    }
  });

  it('say every conflict that a request can meet and its next step', () => {
    const root = new URL('../../orchestrator/lab-app/src/', import.meta.url);
    const sources = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.rs'));
    const conflict = /refused\(\s*ErrorKind::Conflict,\s*"([a-z-]+)"/g;
    const met = sources.flatMap((file) => [...readFileSync(new URL(file, root), 'utf8').matchAll(conflict)].map((found) => found[1]!));
    expect(met).toEqual(expect.arrayContaining(['not-ready', 'session-over', 'person-live']));
    for (const code of met) {
      expect(en).toHaveProperty([`error.${code}`]);
      expect(en).toHaveProperty([`error.${code}.next`]);
    }
  });

  it('say every refusal of a lab and its next step', () => {
    const refusals = codes('entitlement/mod.rs', /impl Refusal[\s\S]*?\n}/, /"([a-z-]+)"/g);
    expect(refusals).toContain('course-closed');
    for (const code of refusals.filter((code) => code !== 'privacy-notice')) {
      expect(en).toHaveProperty([`error.${code}`]);
      expect(en).toHaveProperty([`error.${code}.next`]);
    }
  });

  it('say every state of a session', () => {
    for (const state of ['requested', 'queued', 'provisioning', 'ready', 'frozen', 'stopping', 'ended', 'failed']) {
      expect(en).toHaveProperty([`state.${state}`]);
    }
  });

  it('have no key that no page uses', () => {
    const source = readdirSync(new URL('../src', import.meta.url), { recursive: true, encoding: 'utf8' })
      .filter((file) => /\.(svelte|ts)$/.test(file) && !/i18n\/(privacy\.)?(en|fr)\.ts/.test(file))
      .map((file) => readFileSync(new URL(`../src/${file}`, import.meta.url), 'utf8'))
      .join('\n');
    // Keys made at run time from a code start with one of these.
    const made = [...source.matchAll(/[`'"]([a-z-]+(?:\.[a-z-]+)*\.)\$\{/g)].map((found) => found[1]!);
    const unused = Object.keys(en).filter(
      (key) => !source.includes(`'${key.replace(/_n$/, '')}'`) && !made.some((prefix) => key.startsWith(prefix)),
    );
    expect(unused).toEqual([]);
  });
});

it('times read as people write them', () => {
  expect([5, 65, 600, 3723].map(clockTime)).toEqual(['0:05', '1:05', '10:00', '1:02:03']);
  expect([45, 90, 3600, 7500].map(span)).toEqual(['45 s', '2 min', '1 h 00', '2 h 05']);
});

describe('a course’s dates', () => {
  const at = (text: string) => Date.parse(text) / 1000;

  it('are those of its zone, on both sides of the hour that comes twice and on a leap day', () => {
    vi.stubGlobal('document', { documentElement: {} });
    setLanguage('en');
    expect(momentIn(at('2026-10-25T00:30:00Z'), 'Europe/Paris')).toMatch(/October 25, 2026 at 02:30 AM GMT\+2/);
    expect(momentIn(at('2026-10-25T01:30:00Z'), 'Europe/Paris')).toMatch(/October 25, 2026 at 02:30 AM GMT\+1/);
    expect(momentIn(at('2027-03-28T01:00:00Z'), 'Europe/Paris')).toMatch(/March 28, 2027 at 03:00 AM GMT\+2/);
    expect(momentIn(at('2028-02-29T22:59:59Z'), 'Europe/Paris')).toMatch(/February 29, 2028 at 11:59 PM/);
    setLanguage('fr');
    expect(momentIn(at('2028-02-29T22:59:59Z'), 'Europe/Paris')).toMatch(/29 février 2028.*23:59/);
    setLanguage('en');
    vi.unstubAllGlobals();
  });

  it('are in UTC where the zone is none, or none that there is', () => {
    expect(momentIn(at('2027-06-30T22:00:00Z'), null)).toMatch(/June 30, 2027 at 10:00 PM UTC/);
    expect(momentIn(at('2027-06-30T22:00:00Z'), 'Middle/Earth')).toMatch(/June 30, 2027 at 10:00 PM UTC/);
  });
});
