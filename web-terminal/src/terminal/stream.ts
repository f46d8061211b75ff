/**
 * Output of one terminal arriving: in order, without a hole, each byte once; and the acknowledgement of what is drawn.
 */
import type { Clock } from '../transport/clock';

/** What draws. Calls take effect in the order they are made, also when drawing is asynchronous. */
export interface Screen {
  /** `drawn` is called once the bytes are parsed. */
  write(bytes: Uint8Array, drawn: () => void): void;
  resize(cols: number, rows: number): void;
  reset(): void;
}

const ACK_BYTES = 16 * 1024;
const ACK_MS = 50;

export class Stream {
  /** Next output offset expected; null before the first snapshot. */
  #next: number | null = null;
  #drawn = 0;
  #acked = 0;
  #cancelAck: (() => void) | null = null;
  #holed = false;

  constructor(
    private readonly screen: Screen,
    private readonly clock: Clock,
    private readonly acknowledge: (offset: number) => void,
    private readonly hole: () => void,
  ) {}

  /** From where to go on after a reconnect; null asks for a snapshot. */
  get from(): number | null {
    return this.#next;
  }

  /** A new socket: what arrives next starts at `from`, and its other end knows of no acknowledgement. */
  restart(): void {
    this.#holed = false;
    this.#acked = 0;
  }

  output(offset: number, bytes: Uint8Array): void {
    if (this.#next === null || offset > this.#next) {
      // Never draws around a hole: asks once for the missing bytes and ignores what comes until they do.
      if (!this.#holed) {
        this.#holed = true;
        this.hole();
      }
      return;
    }
    const fresh = bytes.subarray(this.#next - offset);
    if (fresh.length === 0) return;
    this.#holed = false;
    this.#write(fresh, this.#next + fresh.length);
  }

  snapshot(offset: number, cols: number, rows: number, bytes: Uint8Array): void {
    this.#holed = false;
    this.screen.reset();
    this.screen.resize(cols, rows);
    this.#write(bytes, offset);
  }

  close(): void {
    this.#cancelAck?.();
    this.#cancelAck = null;
  }

  #write(bytes: Uint8Array, end: number): void {
    this.#next = end;
    this.screen.write(bytes, () => {
      this.#drawn = end;
      if (end - this.#acked >= ACK_BYTES) this.#ack();
      else this.#cancelAck ??= this.clock.after(ACK_MS, () => this.#ack());
    });
  }

  #ack(): void {
    this.close();
    if (this.#drawn === this.#acked) return;
    this.#acked = this.#drawn;
    this.acknowledge(this.#drawn);
  }
}
