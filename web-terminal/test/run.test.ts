// @vitest-environment happy-dom
/** A run of a lab is metered: what begins one, and what returns to one. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { launch } from '../src/api/client';
import { endOf, findRun, lossNote } from '../src/pages/lab/run';
import type { SessionView } from '../src/api/types';

/** Runs by id, as a server has them; `started` counts those that were asked for. */
const runs = new Map<string, Pick<SessionView, 'state' | 'reason'>>();
let started = 0;
let failing = 0;

const answer = (status: number, body: unknown) => Promise.resolve(new Response(JSON.stringify(body), { status }));

function server(url: string, { method }: RequestInit) {
  if (failing) return answer(failing, { code: `http-${failing}` });
  if (url.endsWith('/launch')) return answer(200, { bearer: 'b', expires_at: Date.now() / 1000 + 9999, login: { name: 'Ada' } });
  if (method === 'POST') {
    const live = [...runs].find(([, { state }]) => state !== 'ended' && state !== 'failed');
    const id = live?.[0] ?? `run-${++started}`;
    if (!live) runs.set(id, { state: 'ready' });
    return answer(200, { id, ...runs.get(id) });
  }
  const id = url.split('/').at(-1)!;
  return runs.has(id) ? answer(200, { id, ...runs.get(id) }) : answer(404, { code: 'not-found' });
}

beforeEach(() => {
  runs.clear();
  [started, failing] = [0, 0];
  vi.stubGlobal('fetch', server);
});
afterEach(() => {
  sessionStorage.clear();
  vi.unstubAllGlobals();
});

it.each(['ended', 'failed'] as const)('a run that %s is returned to by a reload or Back; a new one begins by *Start again* only', async (state) => {
  const first = await findRun('ospf', false);
  runs.set(first.id, { state, reason: 'idle-timeout' });
  const back = await findRun('ospf', false);
  expect(endOf(back)).toMatchObject({ session: first.id, state, reason: 'idle-timeout' });
  expect(started).toBe(1);
  const next = await findRun('ospf', true);
  expect(endOf(next)).toBeNull();
  expect(started).toBe(2);
  // and it is this one that the next reload returns to
  expect((await findRun('ospf', false)).id).toBe(next.id);
});

it('a fresh link begins a new run', async () => {
  const first = await findRun('ospf', false);
  runs.set(first.id, { state: 'ended' });
  await launch('token');
  expect((await findRun('ospf', false)).id).toBe('run-2');
});

it('a run that is no longer known is not returned to', async () => {
  await findRun('ospf', false);
  runs.clear();
  expect((await findRun('ospf', false)).id).toBe('run-2');
});

it('nothing is started while the server does not say how the run stands', async () => {
  const first = await findRun('ospf', false);
  runs.set(first.id, { state: 'ended' });
  failing = 503;
  await expect(findRun('ospf', false)).rejects.toMatchObject({ status: 503 });
  failing = 0;
  expect((await findRun('ospf', false)).state).toBe('ended');
  expect(started).toBe(1);
});

it('each lab has its own', async () => {
  const first = await findRun('ospf', false);
  runs.set(first.id, { state: 'ended' });
  expect((await findRun('bgp', false)).id).toBe('run-2');
  expect((await findRun('ospf', false)).id).toBe(first.id);
});

it('says of a lab that its learner may have lost whether its time is counted, and of none of the others', () => {
  for (const reason of ['out-of-memory', 'out-of-disk', 'agent-lost']) {
    expect(lossNote(reason, undefined)).toBeNull();
    expect(lossNote(reason, 0)).toBe('end.loss-unbilled');
    expect(lossNote(reason, 600)).toBe('end.loss-billed');
  }
  for (const reason of ['sandbox-lost', 'learner-stopped', null]) expect(lossNote(reason, 0)).toBeNull();
});
