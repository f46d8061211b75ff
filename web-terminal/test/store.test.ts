/** Who is signed in, where this tab may keep something and where it may not. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { along, arrive, forget, keeps, load, save, type Stored } from '../src/api/store';

const ANA = { bearer: 'secret', expires_at: 1, login: { name: 'Zoë & co' } } as unknown as Stored;

/** A page at `address`, with what a browser gives it. */
function page(address: string, { framed = false, storage = true } = {}) {
  const url = new URL(address);
  const kept = new Map<string, string>();
  const place = { pathname: url.pathname, search: url.search, hash: url.hash };
  const entry = {
    state: null as unknown,
    replaceState(state: unknown, _: string, to?: string) {
      entry.state = state;
      if (to === undefined) return;
      const next = new URL(to, url);
      Object.assign(place, { pathname: next.pathname, search: next.search, hash: next.hash });
    },
  };
  vi.stubGlobal('location', place);
  vi.stubGlobal('history', entry);
  const self = {};
  vi.stubGlobal('window', Object.assign(self, { parent: framed ? {} : self }));
  Object.defineProperty(globalThis, 'sessionStorage', {
    configurable: true,
    get() {
      if (!storage) throw new DOMException('refused', 'SecurityError');
      return { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v), removeItem: (k: string) => kept.delete(k) };
    },
  });
  arrive();
  return { place, entry };
}

const before = Object.getOwnPropertyDescriptor(globalThis, 'sessionStorage');
afterEach(() => {
  vi.unstubAllGlobals();
  if (before) Object.defineProperty(globalThis, 'sessionStorage', before);
  else Reflect.deleteProperty(globalThis, 'sessionStorage');
});

describe('where the tab keeps something', () => {
  it('who signed in stays so, and no address says who', () => {
    page('https://labs.example/launch');
    save(ANA);
    expect(load()).toEqual(ANA);
    expect(along('/lab')).toBe('/lab');
    forget();
    expect(load()).toBeNull();
  });

  it('nobody is signed in by an address', () => {
    const { place } = page(`https://labs.example/lab#labwire.login=${encodeURIComponent(JSON.stringify(ANA))}`);
    expect(load()).toBeNull();
    expect(place.hash).toBe('');
  });
});

describe('in a frame that may keep nothing', () => {
  it('who signed in is known on the next page and after a reload, and the address is clean again', () => {
    page('https://labs.example/launch', { framed: true, storage: false });
    save(ANA);
    const next = along('/operations#usage');
    const { place, entry } = page(`https://labs.example${next}`, { framed: true, storage: false });
    expect(load()).toEqual(ANA);
    expect(place.hash).toBe('#usage');
    // a reload: the entry's state is what is left
    const { state } = entry;
    page('https://labs.example/operations#usage', { framed: true, storage: false }).entry.state = state;
    expect(load()).toEqual(ANA);
    forget();
    expect(load()).toBeNull();
    expect(along('/lab')).toBe('/lab');
  });

  it('what cannot be read signs nobody in', () => {
    for (const cut of ['%7Bnot', '%7', '']) {
      page(`https://labs.example/lab#labwire.login=${cut}`, { framed: true, storage: false });
      expect(load()).toBeNull();
    }
  });
});

describe('in a window that may keep nothing', () => {
  it('nobody is signed in by an address, and the page can say so before a link is used up', () => {
    page(`https://labs.example/lab#labwire.login=${encodeURIComponent(JSON.stringify(ANA))}`, { storage: false });
    expect(load()).toBeNull();
    expect(keeps()).toBe(false);
  });
});
