/**
 * A tab's connection to one session: which terminals are shown, what was typed, where each stream is. Pure apart from the
 * socket and the clock it is given; the page's components only listen.
 */
import { inflateSync } from 'fflate';
import { decodeFrame, encodeFrame, FLAG_DEFLATE } from '../protocol/browser';
import type { FromBrowser, SeatNotice, ToBrowser } from '../protocol/messages';
import type { Clock } from '../transport/clock';
import { Link, type LinkState, type Socket } from '../transport/link';
import { Outbox } from './outbox';
import { Stream, type Screen } from './stream';

export interface ConnectionOptions {
  dial(): Promise<Socket>;
  clock: Clock;
  /** Every JSON message but `pong` and `go-away`, after this class has dealt with its part of it. */
  message(message: ToBrowser): void;
  state(state: LinkState): void;
  /** A terminal wrote something: if its program had ended, another one runs. */
  wrote?(terminal: number): void;
  /** Milliseconds from a ping to its answer. */
  roundTrip?(ms: number): void;
}

export interface AttachOptions {
  screen: Screen;
  /** Wants to type: takes the seat when it is free or held by another tab of the same person. */
  seat: boolean;
  /** With the seat, this tab's window decides the size. A teacher who helps leaves the learner's size alone. */
  fits: boolean;
  cols: number;
  rows: number;
}

/** What became of typed bytes. `no-seat`: someone else types. `full`: too much is under way. */
export type InputResult = 'sent' | 'kept' | 'no-seat' | 'full';

interface Shown {
  options: AttachOptions;
  stream: Stream;
  outbox: Outbox;
  seat: SeatNotice['holder'];
}

export class Connection {
  readonly link: Link;
  readonly #shown = new Map<number, Shown>();
  /** Survives hiding a terminal: its numbers go on where they were. */
  readonly #outboxes = new Map<number, Outbox>();
  readonly #seats = new Map<number, SeatNotice['holder']>();
  #mending = false;

  constructor(private readonly options: ConnectionOptions) {
    this.link = new Link({
      dial: () => options.dial(),
      clock: options.clock,
      pongs: true,
      opened: () => this.#opened(),
      text: (message) => this.#text(message),
      binary: (message) => this.#binary(message),
      changed: (state) => options.state(state),
    });
  }

  start(): void {
    this.link.start();
  }

  close(): void {
    this.#shown.forEach(({ stream }) => stream.close());
    this.#shown.clear();
    this.link.close();
  }

  /** Shows a terminal: its screen is drawn from a snapshot, then kept current through every reconnect. */
  attach(terminal: number, options: AttachOptions): void {
    this.detach(terminal);
    const outbox = this.#outboxes.get(terminal) ?? new Outbox();
    this.#outboxes.set(terminal, outbox);
    const shown: Shown = {
      options,
      outbox,
      seat: this.#seats.get(terminal) ?? 'nobody',
      stream: new Stream(
        options.screen,
        this.options.clock,
        (offset) => this.link.send(encodeFrame({ kind: 'drawn', terminal, offset })),
        () => this.#request(terminal, shown),
      ),
    };
    this.#shown.set(terminal, shown);
    this.#request(terminal, shown);
  }

  detach(terminal: number): void {
    const shown = this.#shown.get(terminal);
    if (!shown) return;
    shown.stream.close();
    this.#shown.delete(terminal);
    this.send({ type: 'detach', terminal });
  }

  /** Types. Kept and sent again until the shell has it. */
  input(terminal: number, bytes: Uint8Array): InputResult {
    const shown = this.#shown.get(terminal);
    if (!shown || !shown.options.seat || shown.seat === 'other') return 'no-seat';
    const parts = shown.outbox.push(bytes);
    if (!parts) return 'full';
    if (shown.seat === 'nobody') {
      this.seat(terminal, true);
      return 'kept';
    }
    for (const { seq, bytes } of parts) {
      if (!this.link.send(encodeFrame({ kind: 'input', terminal, seq, bytes }))) return 'kept';
    }
    return 'sent';
  }

  /** The window has another size; takes effect when the server says so, in order with the output. */
  resize(terminal: number, cols: number, rows: number): void {
    const shown = this.#shown.get(terminal);
    if (!shown || (shown.options.cols === cols && shown.options.rows === rows)) return;
    shown.options = { ...shown.options, cols, rows };
    if (shown.seat !== 'other') this.send({ type: 'resize', terminal, cols, rows });
  }

  /** Takes the seat, or gives it back. */
  seat(terminal: number, take: boolean): void {
    const shown = this.#shown.get(terminal);
    if (shown) shown.options = { ...shown.options, seat: take };
    this.send({ type: 'seat', terminal, take });
  }

  /** Sends a request; dropped when the socket is not open, as its answer would be. */
  send(message: FromBrowser): boolean {
    return this.link.send(JSON.stringify(message));
  }

  #opened(): void {
    for (const [terminal, shown] of this.#shown) {
      shown.stream.restart();
      this.#request(terminal, shown);
      if (shown.seat === 'you') this.#resend(terminal, shown);
    }
  }

  #request(terminal: number, { options, stream }: Shown): void {
    const { seat, cols, rows } = options;
    this.send({ type: 'attach', terminal, from: stream.from, seat, cols, rows });
  }

  #resend(terminal: number, shown: Shown): void {
    for (const { seq, bytes } of shown.outbox.pending()) {
      this.link.send(encodeFrame({ kind: 'input', terminal, seq, bytes }));
    }
  }

  #text(text: string): void {
    const message = JSON.parse(text) as ToBrowser;
    switch (message.type) {
      case 'pong':
        this.options.roundTrip?.(this.options.clock.now() - message.t);
        return;
      case 'go-away':
        this.link.goAway(message.after_ms);
        return;
      case 'terminals':
        message.terminals.forEach(({ seat, cols, rows }, terminal) => {
          this.#shown.get(terminal)?.options.screen.resize(cols, rows);
          this.#seatMoved(terminal, seat.holder);
        });
        break;
      case 'seat':
        this.#seatMoved(message.terminal, message.seat.holder);
        break;
      case 'resize':
        this.#shown.get(message.terminal)?.options.screen.resize(message.cols, message.rows);
        break;
      case 'error':
        // A frame was lost between a refused one and the next: the same numbers again, in order, mend it.
        // Once until something is acknowledged: a server that has forgotten this tab would refuse them for ever.
        if (message.code !== 'input-order' || this.#mending) break;
        this.#mending = true;
        this.#shown.forEach((shown, terminal) => this.#resend(terminal, shown));
        break;
    }
    this.options.message(message);
  }

  #seatMoved(terminal: number, holder: SeatNotice['holder']): void {
    const before = this.#seats.get(terminal);
    this.#seats.set(terminal, holder);
    const shown = this.#shown.get(terminal);
    if (shown) shown.seat = holder;
    if (holder === 'other') this.#outboxes.get(terminal)?.void();
    if (holder === 'you' && before !== 'you' && shown) {
      this.#resend(terminal, shown);
      const { cols, rows, fits } = shown.options;
      if (fits) this.send({ type: 'resize', terminal, cols, rows });
    }
  }

  #binary(message: ArrayBuffer): void {
    const frame = decodeFrame(message);
    const shown = this.#shown.get(frame.terminal);
    switch (frame.kind) {
      case 'output':
        this.options.wrote?.(frame.terminal);
        shown?.stream.output(frame.offset, inflated(frame.flags, frame.bytes));
        return;
      case 'snapshot':
        shown?.stream.snapshot(frame.offset, frame.cols, frame.rows, inflated(frame.flags, frame.screen));
        return;
      case 'input-ack':
        this.#mending = false;
        this.#outboxes.get(frame.terminal)?.acknowledge(frame.seq);
        return;
      case 'input':
      case 'drawn':
        // Only a page sends these.
        return;
    }
  }
}

function inflated(flags: number, bytes: Uint8Array): Uint8Array {
  return flags & FLAG_DEFLATE ? inflateSync(bytes) : bytes;
}
