/** The cards of a course, kept current by one socket. */
import { dialWall } from '../api/client';
import type { Card, WallMessage } from '../protocol/messages';
import { realClock } from '../transport/clock';
import { Link, type LinkState } from '../transport/link';

export class Wall {
  link = $state<LinkState>({ name: 'connecting', attempt: 0 });
  cards = $state<Record<string, Card>>({});
  /** When each card's `idle_s` was said: between messages the page counts on. */
  readonly heardAt: Record<string, number> = {};
  readonly #link: Link;
  #fresh = false;

  constructor(course: string) {
    this.#link = new Link({
      dial: () => dialWall(course),
      clock: realClock,
      pongs: false,
      opened: () => (this.#fresh = true),
      text: (text) => this.#heard(JSON.parse(text) as WallMessage | { type: string }),
      binary: () => {},
      changed: (state) => (this.link = state),
    });
  }

  start(): () => void {
    const nudge = () => document.visibilityState === 'visible' && this.#link.nudge();
    this.#link.start();
    addEventListener('online', nudge);
    document.addEventListener('visibilitychange', nudge);
    return () => {
      removeEventListener('online', nudge);
      document.removeEventListener('visibilitychange', nudge);
      this.#link.close();
    };
  }

  #heard(message: WallMessage | { type: string }): void {
    if (message.type === 'go-away') return this.#link.goAway((message as unknown as { after_ms: number }).after_ms);
    if (message.type !== 'cards') return;
    const { cards, gone } = message as WallMessage;
    // The first message of a socket is everything: who left while we were away is not in it.
    if (this.#fresh) this.cards = {};
    this.#fresh = false;
    for (const card of cards) {
      this.cards[card.session] = card;
      this.heardAt[card.session] = Date.now();
    }
    for (const session of gone) delete this.cards[session];
  }
}
