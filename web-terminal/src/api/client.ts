/** A small client of the HTTP contract: bearer, rotation, errors with a code. */
import { BROWSER_PROTOCOL, WALL_PROTOCOL } from '../protocol/messages';
import { DialRefused, type Socket } from '../transport/link';
import { rememberPlace } from '../ui/home';
import { ended } from './ended.svelte';
import { forget, forgetRuns, load, save, type Stored } from './store';
import type * as T from './types';
import type { TimeNotice } from '../protocol/messages';

const BASE = '/api/v1';
/** The bearer is rotated when less than this is left: a class may be offline for a while and still come back. */
const ROTATE_BEFORE_S = 300;
/**
 * What a terminal cannot open without (a ticket, a bearer that holds) is answered by then or asked again: a connection that died without
 * a word, under a laptop that slept, never answers. TCP, TLS and the request are four round trips, which at 2 s each, a bad satellite link,
 * take 8 s; 2 s more are for the server.
 */
const ANSWER_WITHIN_MS = 10_000;

/** A refused or failed request. `code` is public; `network` means that no answer came. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly next: string | null = null,
    readonly body: Record<string, unknown> = {},
  ) {
    super(message);
  }
}

let rotating: Promise<void> | null = null;

/**
 * Keeps the tab signed in while it is open: terminals need the bearer only when they reconnect, which may be an hour after
 * the last request. Looks every minute, which is also as often as a hidden tab may. Staff are told when their login has come to its end, also
 * where the page asks nothing.
 */
export function staySignedIn(): void {
  setInterval(() => {
    const stored = load();
    if (stored?.ends_at != null && stored.ends_at <= Date.now() / 1000) signOut();
    else void rotateIfDue();
  }, 60_000);
}

/** Forgets who was here. Staff are asked to sign in again, and come back to where they are. */
function signOut(): void {
  const who = login();
  forget();
  if (!who || who.role === 'learner') return;
  rememberPlace();
  ended.login = who;
}

/** Who is signed in here, without asking the server. */
export function login(): T.Login | null {
  return load()?.login ?? null;
}

export async function launch(token: string): Promise<Stored> {
  const signed = await request<Stored>('POST', '/launch', { token }, false);
  forgetRuns();
  save(signed);
  return signed;
}

export const staffOffer = () => request<T.StaffOffer>('GET', '/staff', undefined, false);
export const me = () => request<T.Me>('GET', '/me');
export const labs = () => request<T.LabSummary[]>('GET', '/labs');
export const lab = (id: string) => request<T.Lab>('GET', `/labs/${encodeURIComponent(id)}`);
export const sessionStart = (lab: string) => request<T.SessionView>('POST', '/sessions', { lab });
export const testRun = (lab: string) => request<T.TestRun>('POST', '/test-runs', { lab });
export const session = (id: string) => request<T.SessionView>('GET', `/sessions/${id}`);
export const sessionStop = (id: string) => request<T.SessionView>('POST', `/sessions/${id}/stop`);
export const sessionExtend = (id: string) => request<TimeNotice>('POST', `/sessions/${id}/extend`);
export const voucherRedeem = (code: string) => request<T.Redeemed>('POST', '/vouchers/redeem', { code });
export const progress = (after?: string) => request<T.ProgressPage>('GET', `/progress${after === undefined ? '' : `?${new URLSearchParams({ after })}`}`);
export const courseCounts = () => request<T.CourseCounts>('GET', '/indicators');
export const courseRule = (rule: T.CourseRule) => fetchRaw('POST', '/indicators/rule', rule);
export const batches = () => request<T.Batch[]>('GET', '/vouchers');
export const batchMake = (batch: Record<string, string | number>) => request<T.MadeBatch>('POST', '/vouchers', batch);
export const batchRevoke = (id: string, reason: string) => fetchRaw('POST', `/vouchers/${encodeURIComponent(id)}/revoke`, { reason });
export const redeemFor = (learner: string, code: string) => request<T.Redeemed>('POST', '/vouchers/redeem-for', { learner, code });
export const grantsOf = (learner: string) => request<T.Grant[]>('POST', '/grants/show', { learner });
export const recording = (id: string) => request<T.Recording>('GET', `/sessions/${id}/recording`);
export const health = () => request<T.Health>('GET', '/health');
export const overview = () => request<T.Overview>('GET', '/operations');
export const pools = () => request<T.Pool[]>('GET', '/operations/pools');
export const queue = () => request<T.Queue>('GET', '/operations/queue');
export const accounts = () => request<T.Accounts>('GET', '/operations/accounts');
export const statement = (query: Record<string, string>) => request<T.Statement>('GET', `/operations/statement?${new URLSearchParams(query)}`);
export const launchesPause = (reason: string, minutes: number | null) => request<T.Paused>('POST', '/operations/pause', { reason, minutes });
export const launchesResume = () => request<T.Paused>('POST', '/operations/resume');
export const coursePeople = () => request<T.CoursePeople>('GET', '/course/people');
export const ltiOverview = () => request<T.LtiOverview>('GET', '/operations/lti');
export const ltiAdd = (what: T.LtiAdd) => request<T.LtiAdded>('POST', '/operations/lti/add', what);
export const ltiGuides = (name: string, lab?: string) =>
  request<T.LtiGuides>('GET', `/operations/lti/guides?${new URLSearchParams(lab === undefined ? { name } : { name, lab })}`);
export const ltiInvite = (what: { name: string; course: string | null; plan: string | null }) => request<T.LtiInvited>('POST', '/operations/lti/invite', what);
export const ltiDecide = (name: string, yes: boolean) => request<T.LtiOverview>('POST', `/operations/lti/${yes ? 'approve' : 'reject'}`, { name });
export const notice = () => request<T.Notice>('GET', '/notice');
export const noticeAcknowledge = (version: string) => request<T.Notice>('POST', '/notice', { version });
export const looks = (before?: number) => request<T.Look[]>('GET', before === undefined ? '/looks' : `/looks?before=${before}`);
export const people = (text: string) => request<T.PersonSummary[]>('GET', `/people?${new URLSearchParams({ text })}`);
export const personShow = (subject: string) => request<T.Person>('POST', '/people/show', { subject });
export const personErase = (subject: string, confirm: string) => request<T.ErasedPerson>('POST', '/people/erase', { subject, confirm });
export const learners = () => request<T.Enrolment[]>('GET', '/learners');
export const learnerShow = (who: { subject: string; course?: string }) => request<T.LearnerPage>('POST', '/learners/show', who);
export const audit = (id: string) => request<T.AuditEvent[]>('GET', `/audit?session=${id}`);

export function sessions(filter: { course?: string; live?: boolean }): Promise<T.SessionView[]> {
  const query = new URLSearchParams();
  if (filter.course) query.set('course', filter.course);
  if (filter.live) query.set('live', '1');
  return request('GET', `/sessions?${query}`);
}

export async function journal(id: string, from: number, to: number): Promise<Uint8Array> {
  const answer = await fetchRaw('GET', `/sessions/${id}/recording/journal?from=${from}&to=${to}`);
  return new Uint8Array(await answer.arrayBuffer());
}

export async function demo(lab: string): Promise<string> {
  return (await fetchRaw('GET', `/demo/${encodeURIComponent(lab)}`)).text();
}

export function usage(filter: Record<string, string>): Promise<T.UsageRow[]> {
  return request('GET', `/usage?${new URLSearchParams({ ...filter, format: 'json' })}`);
}

/** Downloads a file that needs the bearer, so that no link with a secret exists. */
export async function download(path: string, name: string): Promise<void> {
  await keep(await fetchRaw('GET', path), name);
}

/** The same of what is asked for by a body: whom it is about is nobody's address. */
export async function downloadOf(path: string, body: unknown, name: string): Promise<void> {
  await keep(await fetchRaw('POST', path, body), name);
}

async function keep(answer: Response, name: string): Promise<void> {
  const url = URL.createObjectURL(await answer.blob());
  const link = Object.assign(document.createElement('a'), { href: url, download: name });
  link.click();
  // The click has started the download; the object may go once the browser has taken it.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** Opens a session's socket with a fresh ticket. */
export const dialSession = (session: string, writer: string) =>
  dial({ scope: 'session', session, writer }, '/ws', BROWSER_PROTOCOL);

/** Opens the wall of a course. */
export const dialWall = (course: string) => dial({ scope: 'wall', course }, '/wall', WALL_PROTOCOL);

async function dial(scope: Record<string, string>, path: string, protocol: string): Promise<Socket> {
  let ticket: string;
  try {
    ({ ticket } = await request<{ ticket: string }>('POST', '/tickets', scope, true, ANSWER_WITHIN_MS));
  } catch (error) {
    if (error instanceof ApiError) {
      if (error.status === 401) throw new DialRefused('signed-out');
      if (error.status === 403) throw new DialRefused('not-allowed');
      if (error.status === 404) throw new DialRefused('gone');
    }
    throw error;
  }
  const url = new URL(`${BASE}${path}?ticket=${encodeURIComponent(ticket)}`, location.href);
  url.protocol = url.protocol.replace('http', 'ws');
  return new WebSocket(url, protocol) as unknown as Socket;
}

async function request<R>(method: string, path: string, body?: unknown, signed = true, withinMs?: number): Promise<R> {
  const answer = await fetchRaw(method, path, body, signed, withinMs);
  return (await answer.json()) as R;
}

async function fetchRaw(method: string, path: string, body?: unknown, signed = true, withinMs?: number): Promise<Response> {
  if (signed) await rotateIfDue();
  return send(method, path, body, signed ? load()?.bearer : undefined, withinMs);
}

/** Without `withinMs` an answer may take as long as it takes: a statement of a large course is no quick one. */
async function send(method: string, path: string, body: unknown, bearer: string | undefined, withinMs?: number): Promise<Response> {
  const headers: Record<string, string> = {};
  if (bearer) headers['authorization'] = `Bearer ${bearer}`;
  if (body !== undefined) headers['content-type'] = 'application/json';
  // Its time covers the body too.
  const signal = withinMs === undefined ? null : AbortSignal.timeout(withinMs);
  let answer: Response;
  try {
    answer = await fetch(BASE + path, { method, headers, body: body === undefined ? null : JSON.stringify(body), signal });
  } catch {
    throw new ApiError(0, 'network', 'no answer');
  }
  if (!answer.ok) throw await failure(answer, bearer !== undefined);
  return answer;
}

async function failure(answer: Response, signed: boolean): Promise<ApiError> {
  const body = ((await answer.json().catch(() => null)) ?? {}) as Record<string, unknown>;
  if (answer.status === 401 && signed) signOut();
  const text = (key: string) => (typeof body[key] === 'string' ? (body[key] as string) : null);
  return new ApiError(answer.status, text('code') ?? `http-${answer.status}`, text('message') ?? answer.statusText, text('next'), body);
}

/**
 * One rotation at a time, whoever asks; a failed one is tried again at the next request while the bearer still holds. One that holds until its
 * login's end is not rotated: it would win nothing.
 */
function rotateIfDue(): Promise<void> {
  const stored = load();
  if (!stored || stored.expires_at - Date.now() / 1000 > ROTATE_BEFORE_S) return Promise.resolve();
  if (stored.ends_at != null && stored.expires_at >= stored.ends_at) return Promise.resolve();
  rotating ??= send('POST', '/token/rotate', {}, stored.bearer, ANSWER_WITHIN_MS)
    .then(async (answer) => save({ ...stored, ...((await answer.json()) as T.Signed) }))
    .catch(() => {})
    .finally(() => (rotating = null));
  return rotating;
}
