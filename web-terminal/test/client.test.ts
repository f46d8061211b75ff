import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ApiError, dialSession, launch, login, me, staySignedIn } from '../src/api/client';
import { ended } from '../src/api/ended.svelte';
import { save } from '../src/api/store';

interface Asked {
  path: string;
  bearer: string | null;
}

const who = { id: 'l', name: 'Zoé', role: 'learner' as const, course: 'net', lab: 'ospf', plan: null };
let asked: Asked[];
let answers: Record<string, () => Response | Promise<Response>>;

const json = (body: unknown, status = 200) => new Response(JSON.stringify(body), { status });
const inSeconds = (s: number) => Date.now() / 1000 + s;

beforeEach(() => {
  ended.login = null;
  vi.useFakeTimers();
  asked = [];
  const items = new Map<string, string>();
  vi.stubGlobal('sessionStorage', {
    getItem: (key: string) => items.get(key) ?? null,
    setItem: (key: string, value: string) => items.set(key, value),
    removeItem: (key: string) => items.delete(key),
  });
  answers = {
    '/me': () => json({ ...who, grants: [], plans: [] }),
    '/token/rotate': () => json({ bearer: 'new', expires_at: inSeconds(900) }),
    '/launch': () => json({ bearer: 'first', expires_at: inSeconds(900), login: who }),
  };
  vi.stubGlobal('fetch', async (url: string, init: RequestInit) => {
    const path = url.replace('/api/v1', '');
    asked.push({ path, bearer: new Headers(init.headers).get('authorization') });
    return answers[path]!();
  });
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

describe('the bearer', () => {
  it('comes from the launch and goes with every request after it', async () => {
    await launch('token');
    await me();
    expect(asked).toEqual([{ path: '/launch', bearer: null }, { path: '/me', bearer: 'Bearer first' }]);
  });

  it('is rotated before it expires, once, however many ask at the same time', async () => {
    save({ bearer: 'old', expires_at: inSeconds(60), login: who });
    await Promise.all([me(), me(), me()]);
    expect(asked.filter(({ path }) => path === '/token/rotate')).toEqual([{ path: '/token/rotate', bearer: 'Bearer old' }]);
    expect(asked.filter(({ path }) => path === '/me').map(({ bearer }) => bearer)).toEqual(Array(3).fill('Bearer new'));
  });

  it('is rotated in a tab that only types, so that an hour later a reconnect still works', async () => {
    save({ bearer: 'old', expires_at: inSeconds(900), login: who });
    staySignedIn();
    await vi.advanceTimersByTimeAsync(3600_000);
    expect(asked.filter(({ path }) => path === '/token/rotate').length).toBeGreaterThanOrEqual(4);
    await me();
    expect(asked.at(-1)).toEqual({ path: '/me', bearer: 'Bearer new' });
  });

  it('still serves when its rotation fails while it holds', async () => {
    answers['/token/rotate'] = () => Promise.reject(new TypeError('offline'));
    save({ bearer: 'old', expires_at: inSeconds(60), login: who });
    await me();
    expect(asked.at(-1)).toEqual({ path: '/me', bearer: 'Bearer old' });
  });

  it('is forgotten when it is refused', async () => {
    answers['/me'] = () => json({ code: 'signed-out', message: '', next: '' }, 401);
    save({ bearer: 'old', expires_at: inSeconds(900), login: who });
    await expect(me()).rejects.toMatchObject({ status: 401 });
    expect(login()).toBeNull();
  });
});

describe('a connection that died without a word', () => {
  /** Until `alive`, a request ends only when whoever asked gives up. */
  let alive: boolean;

  beforeEach(() => {
    alive = false;
    // Node's own timer for it is not one of those that the tests move
    vi.spyOn(AbortSignal, 'timeout').mockImplementation((ms) => {
      const giveUp = new AbortController();
      setTimeout(() => giveUp.abort(new DOMException('', 'TimeoutError')), ms);
      return giveUp.signal;
    });
    const answered = fetch;
    vi.stubGlobal('fetch', (url: string, init: RequestInit) => {
      if (alive) return answered(url, init);
      return new Promise((_, failed) => init.signal?.addEventListener('abort', () => failed(init.signal?.reason)));
    });
  });
  afterEach(() => vi.restoreAllMocks());

  it('does not keep a terminal waiting for its ticket for ever', async () => {
    save({ bearer: 'old', expires_at: inSeconds(900), login: who });
    const refused = expect(dialSession('s', 'w')).rejects.toMatchObject({ status: 0, code: 'network' });
    await vi.advanceTimersByTimeAsync(10_000);
    await refused;
  });

  it('does not keep everything waiting for a rotation for ever', async () => {
    save({ bearer: 'old', expires_at: inSeconds(60), login: who });
    const answer = me();
    await vi.advanceTimersByTimeAsync(9_000);
    alive = true;
    await vi.advanceTimersByTimeAsync(1_000);
    await answer;
    expect(asked).toEqual([{ path: '/me', bearer: 'Bearer old' }]);
    await me();
    expect(asked.at(-1)).toEqual({ path: '/me', bearer: 'Bearer new' });
  });
});

describe('a login of staff', () => {
  const curie = { ...who, role: 'teacher' as const, lab: null };

  it('that is refused asks for a sign-in, and a learner is not asked', async () => {
    answers['/me'] = () => json({ code: 'not-signed-in', message: '', next: '' }, 401);
    save({ bearer: 'old', expires_at: inSeconds(900), login: who });
    await expect(me()).rejects.toMatchObject({ status: 401 });
    expect(ended.login).toBeNull();
    save({ bearer: 'old', expires_at: inSeconds(900), ends_at: inSeconds(4000), login: curie });
    await expect(me()).rejects.toMatchObject({ status: 401 });
    expect([login(), ended.login?.role]).toEqual([null, 'teacher']);
  });

  it('is rotated until its end, not beyond it, and then asks for a sign-in though the page asks nothing', async () => {
    save({ bearer: 'old', expires_at: inSeconds(900), ends_at: inSeconds(900), login: curie });
    staySignedIn();
    await vi.advanceTimersByTimeAsync(840_000);
    expect([asked, ended.login]).toEqual([[], null]);
    await vi.advanceTimersByTimeAsync(120_000);
    expect([login(), ended.login?.role]).toEqual([null, 'teacher']);
  });
});

describe('a failure', () => {
  it('carries the code, the next step and the rest of the body', async () => {
    answers['/launch'] = () => json({ code: 'no-labs', message: 'm', next: 'n', lab: { id: 'x' } }, 403);
    const error = (await launch('t').catch((error: unknown) => error)) as ApiError;
    expect(error).toMatchObject({ status: 403, code: 'no-labs', next: 'n', body: { lab: { id: 'x' } } });
  });

  it('without an answer is told apart from a refusal', async () => {
    answers['/launch'] = () => Promise.reject(new TypeError('failed'));
    await expect(launch('t')).rejects.toMatchObject({ status: 0, code: 'network' });
  });

  it('whose body is no JSON (a proxy’s page) still has a code', async () => {
    answers['/launch'] = () => new Response('<html>', { status: 502 });
    await expect(launch('t')).rejects.toMatchObject({ status: 502, code: 'http-502' });
  });
});
