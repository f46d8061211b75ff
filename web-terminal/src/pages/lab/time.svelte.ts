/** How long the lab may still run, as the page's clock counts between two messages, and the one click that makes it longer. */
import { sessionExtend } from '../../api/client';
import { t } from '../../i18n/index.svelte';
import type { LiveSession } from '../../terminal/live.svelte';
import { explain } from '../../ui/errors';

export class LabTime {
  #now = $state(Date.now());
  busy = $state(false);
  /** What became of the click, for who cannot see the time change. */
  note = $state('');

  constructor(readonly live: LiveSession) {}

  /** Counts on, until the returned undo. */
  start(): () => void {
    const timer = setInterval(() => (this.#now = Date.now()), 1000);
    return () => clearInterval(timer);
  }

  get #since(): number {
    return (this.#now - this.live.timeAt) / 1000;
  }

  get still(): boolean {
    return this.live.time?.limit === 'frozen';
  }

  get left(): number | null {
    const left = this.live.time?.left_s;
    return left == null ? null : Math.max(0, left - this.#since);
  }

  get used(): number {
    return (this.live.time?.used_s ?? 0) + this.#since;
  }

  get minutes(): number {
    return this.left === null ? Infinity : Math.max(1, Math.ceil(this.left / 60));
  }

  get tone(): 'bad' | 'warn' | '' {
    return this.minutes <= 2 ? 'bad' : this.minutes <= 10 ? 'warn' : '';
  }

  extend = async (): Promise<void> => {
    this.busy = true;
    try {
      this.live.time = await sessionExtend(this.live.session);
      this.live.timeAt = Date.now();
      this.note = t('lab.extended');
    } catch (error) {
      this.note = explain(error).text;
    }
    this.busy = false;
  };
}
