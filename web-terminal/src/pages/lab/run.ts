/** Which run of a lab this page shows. A run is metered: one begins by a launch or by *Start again*, never by a reload or by Back. */
import { ApiError, session as sessionOf, sessionStart } from '../../api/client';
import { keepRun, runOf } from '../../api/store';
import type { SessionView } from '../../api/types';
import type { SessionNotice } from '../../protocol/messages';

/** Another person's, or removed with its time: nothing to return to. */
const GONE = new Set([403, 404]);

/** The run that this tab was in, over or not; the first time, and `afresh`, the one under way or a new one. */
export async function findRun(lab: string, afresh: boolean): Promise<SessionView> {
  const kept = afresh ? null : runOf(lab);
  const run = (kept === null ? null : await known(kept)) ?? (await sessionStart(lab));
  keepRun(lab, run.id);
  return run;
}

async function known(id: string): Promise<SessionView | null> {
  try {
    return await sessionOf(id);
  } catch (error) {
    if (error instanceof ApiError && GONE.has(error.status)) return null;
    throw error;
  }
}

/** What the session's socket would have said of its end; null while it goes on. */
export function endOf({ id, state, reason = null, detail = null }: SessionView): SessionNotice | null {
  if (state !== 'ended' && state !== 'failed') return null;
  return { session: id, state, reason, detail, steps: [], queue: null, waiting: null, away: false };
}

/** Ends that a learner can bring about (`EndReason::may_be_the_learners`): the first within 24 hours is not counted. */
const OWN_LOSSES = new Set(['out-of-memory', 'out-of-disk', 'agent-lost']);

/** What is to be said of the time of a lab that was lost so, once it is settled. */
export function lossNote(reason: string | null, billed: number | null | undefined): 'end.loss-unbilled' | 'end.loss-billed' | null {
  if (reason === null || billed == null || !OWN_LOSSES.has(reason)) return null;
  return billed === 0 ? 'end.loss-unbilled' : 'end.loss-billed';
}
