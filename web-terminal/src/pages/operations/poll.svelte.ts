/** A value asked for again and again while the page is looked at. */
import { explain, type Problem } from '../../ui/errors';

const EVERY_MS = 5000;

export class Poll<T> {
  value = $state.raw<T | null>(null);
  problem = $state<Problem | null>(null);
  at = $state<Date | null>(null);
  #timer: ReturnType<typeof setTimeout> | undefined;
  #stopped = false;

  constructor(private readonly ask: () => Promise<T>) {}

  /** Starts; the result stops. A slow answer is waited for: there is never more than one question under way. */
  start(): () => void {
    void this.#round();
    return () => {
      this.#stopped = true;
      clearTimeout(this.#timer);
    };
  }

  async now(): Promise<void> {
    try {
      this.value = await this.ask();
      this.problem = null;
      this.at = new Date();
    } catch (error) {
      this.problem = explain(error);
    }
  }

  async #round(): Promise<void> {
    if (document.visibilityState === 'visible' || !this.at) await this.now();
    if (!this.#stopped) this.#timer = setTimeout(() => void this.#round(), EVERY_MS);
  }
}
