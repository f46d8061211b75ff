import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { setLanguage } from '../src/i18n/index.svelte';
import { stepTold, tookTold } from '../src/pages/lab/steps';

beforeEach(() => {
  vi.stubGlobal('document', { documentElement: {} });
  setLanguage('fr');
});
afterEach(() => {
  setLanguage('en');
  vi.unstubAllGlobals();
});

it('while the lab is waited for, no machine text is shown, and nothing that reads as a failure', () => {
  for (const why of ['exit status 1', 'no answer', 'exit status 2: r1: command not found']) {
    expect(stepTold(`waiting for ready: ${why}`)).toBe('tout n’est pas encore démarré, c’est normal');
  }
  expect(stepTold('waiting for the prompt of r1, r2')).toBe('en attente de l’invite de r1, r2');
});

it('a stage is said in the page’s language, and a lab’s own step in its author’s words', () => {
  expect(stepTold('agent')).toBe('La machine répond');
  expect(stepTold('les routeurs démarrent')).toBe('les routeurs démarrent');
});

it('a stage’s time stays on one line, written as the language does', () => {
  expect(tookTold(940)).toBe('0,9\u00a0s');
  setLanguage('en');
  expect(tookTold(12_000)).toBe('12.0\u00a0s');
});
