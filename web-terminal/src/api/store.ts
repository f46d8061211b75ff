/**
 * The bearer of this tab: in sessionStorage, so that a reload stays signed in and another tab does not share it.
 *
 * In a frame of another site browsers that block third-party cookies may refuse sessionStorage too (Chromium: a SecurityError at the first
 * touch). There the bearer is the state of this page's history entry, which a reload keeps and no other origin reads; and it goes along to
 * our next page in the address's fragment, which no server sees, and which that page takes out again before anything else. Only in a frame:
 * anybody can send people to an address, and with a fragment of theirs have them sign in as somebody else; who may frame us is configured.
 */
import type { Login, Signed } from './types';

const KEY = 'labwire.login';
/** The run of each lab that this tab was in last, by the lab's id. */
const RUNS = 'labwire.runs';
/** Before what is carried in a fragment. */
const MARK = `#${KEY}=`;

export interface Stored extends Signed {
  login: Login;
}

/** Null where this page is refused any. */
function tabStorage(): Storage | null {
  try {
    return sessionStorage;
  } catch {
    return null;
  }
}

const isFramed = () => window.parent !== window;

/** Whether somebody who signs in here stays signed in on our next page. */
export const keeps = () => tabStorage() !== null || isFramed();

/** Nobody, where the address was cut. */
function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return 'null';
  }
}

/** Takes what came along out of the address, before anything else is done: it is not to be bookmarked, shared or left in the history. */
export function arrive(): void {
  const at = location.hash.indexOf(MARK);
  if (at < 0) return;
  const [rest, text] = [location.hash.slice(0, at), location.hash.slice(at + MARK.length)];
  let state: unknown = history.state;
  // where storage is to be had nothing is carried: what stands there is somebody else's idea of who we are
  if (tabStorage() === null && isFramed()) state = { ...history.state, [KEY]: decoded(text) };
  history.replaceState(state, '', location.pathname + location.search + rest);
}

/** What this page's history entry keeps of us. */
const entryText = (key: string) => (history.state as Record<string, string> | null)?.[key];

function read(key: string): unknown {
  try {
    const storage = tabStorage();
    return JSON.parse((storage ? storage.getItem(key) : entryText(key)) ?? 'null');
  } catch {
    return null;
  }
}

function write(key: string, value: unknown): void {
  const [storage, text] = [tabStorage(), JSON.stringify(value)];
  if (storage) storage.setItem(key, text);
  else history.replaceState({ ...history.state, [key]: text }, '');
}

function remove(key: string): void {
  const storage = tabStorage();
  if (storage) storage.removeItem(key);
  else history.replaceState({ ...history.state, [key]: undefined }, '');
}

export const load = () => read(KEY) as Stored | null;
export const save = (stored: Stored) => write(KEY, stored);
export const forget = () => remove(KEY);

const runs = () => (read(RUNS) ?? {}) as Record<string, string>;

/** The run of a lab that this tab was in last, so that a reload or Back returns to it, also after its end. */
export const runOf = (lab: string): string | null => runs()[lab] ?? null;
export const keepRun = (lab: string, session: string) => write(RUNS, { ...runs(), [lab]: session });
/** Somebody came by a fresh link: what was shown before is past. */
export const forgetRuns = () => remove(RUNS);

/** The address of a page of ours, with what it needs to know who we are where this tab may keep nothing. */
export function along(url: string): string {
  const text = tabStorage() ? undefined : entryText(KEY);
  return text ? url + MARK + encodeURIComponent(text) : url;
}

/** Has links to our own pages go by {@link along}: those of this frame only, a window of its own is no frame. */
export function followLinks(): void {
  if (tabStorage()) return;
  addEventListener('click', (event) => {
    const link = event.target instanceof Element ? event.target.closest<HTMLAnchorElement>('a[href]') : null;
    if (!link || link.target || link.download || event.defaultPrevented || event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || link.origin !== location.origin) return;
    // within this page nothing is loaded
    if (link.pathname === location.pathname && link.search === location.search && link.hash) return;
    event.preventDefault();
    location.assign(along(link.href));
  });
}
