/** What to tell a person about a failure: what happened, what to do next, and a code for whoever helps. */
import { ApiError } from '../api/client';
import { ended } from '../api/ended.svelte';
import { maybe, t } from '../i18n/index.svelte';
import type { LinkEnd } from '../transport/link';

export interface Problem {
  text: string;
  next: string;
  code: string;
}

const BY_STATUS: Record<number, string> = { 0: 'network', 401: 'signed-out', 403: 'not-allowed', 404: 'not-found', 429: 'busy', 503: 'busy' };
const BY_END: Record<LinkEnd, string> = { over: 'unknown', 'signed-out': 'signed-out', 'not-allowed': 'not-allowed', gone: 'not-found', crowded: 'crowded' };

export function explain(error: unknown): Problem {
  if (!(error instanceof ApiError)) return said('unknown', error instanceof Error ? error.name : 'unknown');
  if (maybe(`error.${error.code}`)) return said(error.code, error.code);
  const general = BY_STATUS[error.status];
  if (general) return said(general, error.code);
  // A code this page does not know: the server's own words, which are public and in English.
  return { text: error.message || t('error.unknown'), next: error.next ?? t('error.unknown.next'), code: error.code };
}

export function explainEnd(why: LinkEnd): Problem {
  return said(BY_END[why], why);
}

function said(general: string, code: string): Problem {
  // staff have no course to come back by
  const key = general === 'signed-out' && ended.login ? 'staff-ended' : general;
  return { text: maybe(`error.${key}`) ?? t('error.unknown'), next: maybe(`error.${key}.next`) ?? t('error.unknown.next'), code };
}
