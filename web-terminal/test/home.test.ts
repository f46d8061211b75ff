/** Where a sign-in ends. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { comeBack, rememberPlace } from '../src/ui/home';

/** This tab was at an address when its login ended. */
function was(address: string) {
  const { pathname, search, hash } = new URL(address, 'https://labs.example');
  vi.stubGlobal('location', { pathname, search, hash });
  rememberPlace();
}

beforeEach(() => {
  const items = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
    removeItem: (key: string) => items.delete(key),
  });
});
afterEach(() => vi.unstubAllGlobals());

describe('a sign-in', () => {
  it('ends at the place that was left, with all of its address, once', () => {
    was('/learner?x=1#subject=ana');
    expect(comeBack('teacher')).toBe('/learner?x=1#subject=ana');
    expect(comeBack('teacher')).toBe('/teacher');
  });

  it.each([
    ['/watch/0190', 'coach', '/watch/0190'],
    ['/replay/0190', 'operations', '/operations'],
    ['/operations', 'teacher', '/teacher'],
    ['/office', 'manager', '/office'],
    ['/', 'manager', '/office'],
    ['/launch', 'teacher', '/teacher'],
    ['//evil.example/teacher', 'teacher', '/teacher'],
    ['/teacher/../operations', 'teacher', '/teacher'],
    ['/lab', 'learner', '/lab'],
    ['/teacher', 'learner', '/lab'],
  ] as const)('at %s as %s ends at %s', (place, role, end) => {
    vi.stubGlobal('location', { pathname: place, search: '', hash: '' });
    rememberPlace();
    expect(comeBack(role)).toBe(end);
  });

  it('ends at the role’s own page where the tab may keep nothing', () => {
    vi.stubGlobal('sessionStorage', undefined);
    was('/watch/0190');
    expect(comeBack('teacher')).toBe('/teacher');
  });
});
