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
