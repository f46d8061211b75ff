/**
 * Input of one terminal on its way: numbered from 1, kept until acknowledged, sent again with the same number after a
 * reconnect, so that a key is typed once whatever the network does.
 */
import { INPUT_BYTES_MAX } from '../protocol/browser';

/** Unacknowledged input a tab holds: four full pastes. Beyond it typing is refused rather than kept without end. */
export const OUTBOX_BYTES_MAX = 4 * INPUT_BYTES_MAX;

export interface Numbered {
  seq: number;
  bytes: Uint8Array<ArrayBuffer>;
}

export class Outbox {
  #next = 1;
  #pending: Numbered[] = [];
  #bytes = 0;

  get bytes(): number {
    return this.#bytes;
  }

  /** Numbers the input and keeps it. `null`: too much is under way. */
  push(bytes: Uint8Array): Numbered[] | null {
    if (this.#bytes + bytes.length > OUTBOX_BYTES_MAX) return null;
    const parts: Numbered[] = [];
    for (let at = 0; at < bytes.length; at += INPUT_BYTES_MAX) {
      parts.push({ seq: this.#next++, bytes: bytes.slice(at, at + INPUT_BYTES_MAX) });
    }
    this.#pending.push(...parts);
    this.#bytes += bytes.length;
    return parts;
  }

  /** Everything up to and including `seq` is in the shell. */
  acknowledge(seq: number): void {
    while (this.#pending[0] && this.#pending[0].seq <= seq) this.#bytes -= this.#pending.shift()!.bytes.length;
  }

  /** What to send again, oldest first. */
  pending(): readonly Numbered[] {
    return [...this.#pending];
  }

  /**
   * The seat moved: what is still under way must not be typed later, when nobody expects it. The numbers stay taken (some
   * may have been applied already), so they are sent again empty, which leaves no hole for the next key.
   */
  void(): void {
    this.#pending = this.#pending.map(({ seq }) => ({ seq, bytes: new Uint8Array() }));
    this.#bytes = 0;
  }
}
