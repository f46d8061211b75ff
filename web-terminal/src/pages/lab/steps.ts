/** What is said of a start's step: the service's own in the page's language, the lab's in the words of its author. */
import { language, maybe, t } from '../../i18n/index.svelte';

/** What the lab's agent says while it waits, in English and for who looks for a fault: not yet ready is no fault. */
const NOT_READY = /^waiting for ready: /;
const NO_PROMPT = /^waiting for the prompt of (.+)$/;

export function stepTold(step: string): string {
  if (NOT_READY.test(step)) return t('progress.wait-ready');
  const consoles = NO_PROMPT.exec(step)?.[1];
  if (consoles !== undefined) return t('progress.wait-prompt', { names: consoles });
  return maybe(`progress.${step}`) ?? step;
}

/** `0.9 s`, `0,9 s` in French; on one line. */
export function tookTold(ms: number): string {
  return `${(ms / 1000).toLocaleString(language(), { minimumFractionDigits: 1, maximumFractionDigits: 1 })}\u00a0s`;
}
