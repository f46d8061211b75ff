/** Time and chance, given from outside so that tests decide both. */
export interface Clock {
  now(): number;
  /** Calls `run` once after `ms`; the result cancels. */
  after(ms: number, run: () => void): () => void;
  /** In [0, 1). */
  random(): number;
}

export const realClock: Clock = {
  now: () => performance.now(),
  after(ms, run) {
    const id = setTimeout(run, ms);
    return () => clearTimeout(id);
  },
  random: Math.random,
};

const FIRST_MS = 250;
const MAX_MS = 8000;

/**
 * Full jitter: anywhere between 0 and the doubled limit, so that a class cut off at the same moment does not come back
 * at the same moment. `attempt` counts from 0: limits 0.25, 0.5, 1, 2, 4, 8, 8 … s.
 */
export function backoffMs(attempt: number, random: number): number {
  return random * Math.min(MAX_MS, FIRST_MS * 2 ** attempt);
}
