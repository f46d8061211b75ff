/**
 * One WebSocket that comes back by itself: ticket → socket → messages → (lost) → wait → ticket …
 *
 * It knows nothing of what is said over it, except `ping`/`pong`, by which it notices a half-open socket: a laptop that
 * slept, a train in a tunnel. Those never get a close event by themselves.
 */
import { CLOSE } from '../protocol/messages';
import { backoffMs, type Clock } from './clock';

/** The part of WebSocket used here. */
export interface Socket {
  binaryType: string;
  send(data: string | Uint8Array<ArrayBuffer>): void;
  close(code?: number): void;
  onopen: ((event: never) => void) | null;
  onmessage: ((event: { data: unknown }) => void) | null;
  onclose: ((event: { code: number; reason: string }) => void) | null;
}

/** Why a link will not come back by itself. */
export type LinkEnd = 'over' | 'signed-out' | 'not-allowed' | 'gone' | 'crowded';

export type LinkState =
  | { name: 'connecting'; attempt: number }
  | { name: 'open' }
  /** `until` is on the clock's scale. */
  | { name: 'waiting'; attempt: number; until: number }
  | { name: 'ended'; why: LinkEnd };

/** Thrown by `dial` when another attempt cannot help. */
export class DialRefused extends Error {
  override readonly name = 'DialRefused';
  constructor(readonly why: LinkEnd) {
    super(why);
  }
}

export interface LinkOptions {
  /** Gets a fresh single-use ticket and opens a socket with it. */
  dial(): Promise<Socket>;
  clock: Clock;
  /** The other end is known to answer pings; otherwise that is learnt from the first answer. */
  pongs: boolean;
  opened(): void;
  text(message: string): void;
  binary(message: ArrayBuffer): void;
  changed(state: LinkState): void;
}

const PING_EVERY_MS = 10_000;
/** 10 s between pings and 5 s for an answer: a dead socket is noticed within 15 s. */
const PONG_WITHIN_MS = 5_000;
/** After the device woke or the network came back, the question is asked at once and less patience is needed. */
const PROBE_WITHIN_MS = 2_500;
/** A dial that gives no socket: what it asks first (a bearer's rotation, a ticket) is cut after 10 s each by who asks. */
const DIAL_WITHIN_MS = 20_000;
/** A socket that does not open: proxies that swallow upgrades. */
const OPEN_WITHIN_MS = 10_000;

export class Link {
  #state: LinkState = { name: 'connecting', attempt: 0 };
  #socket: Socket | null = null;
  #attempt = 0;
  #round = 0;
  #heard = 0;
  /** When the attempt under way began. */
  #dialled = 0;
  /** Silence is proof of a dead peer only when it answers pings. */
  #answers: boolean;
  #goAwayMs: number | null = null;
  #cancel: (() => void)[] = [];

  constructor(private readonly options: LinkOptions) {
    this.#answers = options.pongs;
  }

  get state(): LinkState {
    return this.#state;
  }

  start(): void {
    void this.#dial();
  }

  /** Sends when open; otherwise drops it: everything that must arrive is sent again by its owner after `opened`. */
  send(data: string | Uint8Array<ArrayBuffer>): boolean {
    if (this.#state.name !== 'open' || !this.#socket) return false;
    this.#socket.send(data);
    return true;
  }

  /** The network may have changed: connect now if waiting or at it for too long, ask for a sign of life if open. */
  nudge(): void {
    const { name } = this.#state;
    // What was asked before a sleep is answered by nobody. Only a young attempt is left alone: nudges come in twos and threes.
    const stuck = name === 'connecting' && this.options.clock.now() - this.#dialled >= PROBE_WITHIN_MS;
    if (name === 'waiting' || stuck) {
      this.#attempt = 0;
      void this.#dial();
    } else if (name === 'open') {
      // Where nobody answers pings, a fresh socket is the only sure sign of life.
      if (this.#answers) this.#ping(PROBE_WITHIN_MS);
      else this.#lost();
    }
  }

  /** The server asked to come back after so many milliseconds. */
  goAway(afterMs: number): void {
    this.#goAwayMs = afterMs;
    this.#lost();
  }

  /** Ends the link for good. */
  close(why: LinkEnd = 'over'): void {
    if (this.#state.name === 'ended') return;
    this.#drop();
    this.#enter({ name: 'ended', why });
  }

  async #dial(): Promise<void> {
    this.#drop();
    const round = ++this.#round;
    this.#dialled = this.options.clock.now();
    this.#enter({ name: 'connecting', attempt: this.#attempt });
    const inTime = this.#later(DIAL_WITHIN_MS, () => this.#lost());
    let socket: Socket;
    try {
      socket = await this.options.dial();
    } catch (error) {
      if (round !== this.#round) return;
      if (error instanceof DialRefused) this.close(error.why);
      else this.#retry();
      return;
    } finally {
      inTime();
    }
    if (round !== this.#round) {
      socket.close();
      return;
    }
    this.#listen(socket);
  }

  #listen(socket: Socket): void {
    const { clock } = this.options;
    this.#socket = socket;
    this.#heard = clock.now();
    socket.binaryType = 'arraybuffer';
    this.#later(OPEN_WITHIN_MS, () => this.#state.name === 'connecting' && this.#lost());
    socket.onopen = () => {
      this.#heard = clock.now();
      this.#enter({ name: 'open' });
      this.#later(PING_EVERY_MS, () => this.#ping(PONG_WITHIN_MS, true));
      this.options.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#heard = clock.now();
      // The first message, not the handshake, proves that the server serves: then the next loss starts from a short wait.
      this.#attempt = 0;
      if (typeof data === 'string') {
        if (data.startsWith('{"type":"pong"')) this.#answers = true;
        this.options.text(data);
      } else {
        this.options.binary(data as ArrayBuffer);
      }
    };
    socket.onclose = ({ code }) => this.#closed(code);
  }

  #closed(code: number): void {
    if (code === CLOSE.over) this.close('over');
    else if (code === CLOSE.notAllowed) this.close('not-allowed');
    else if (code === CLOSE.noSession) this.close('gone');
    // A newer tab took its place: to come back would take the place of another.
    else if (code === CLOSE.crowded) this.close('crowded');
    else this.#lost();
  }

  #ping(withinMs: number, repeat = false): void {
    const { clock } = this.options;
    const asked = clock.now();
    this.send(JSON.stringify({ type: 'ping', t: Math.round(asked) }));
    this.#later(withinMs, () => {
      if (this.#answers && this.#heard < asked) this.#lost();
    });
    if (repeat) this.#later(PING_EVERY_MS, () => this.#ping(PONG_WITHIN_MS, true));
  }

  #lost(): void {
    this.#drop();
    this.#retry();
  }

  #retry(): void {
    if (this.#state.name === 'ended') return;
    const { clock } = this.options;
    // A server that says goodbye spreads its own goodbyes: who is told comes back when told, on another server, and at once where
    // nothing else is said. Only a server that is lost without a word is given a random pause.
    const ms = this.#goAwayMs ?? backoffMs(this.#attempt, clock.random());
    if (this.#goAwayMs === null) this.#attempt++;
    this.#goAwayMs = null;
    this.#enter({ name: 'waiting', attempt: this.#attempt, until: clock.now() + ms });
    this.#later(ms, () => void this.#dial());
  }

  #drop(): void {
    this.#round++;
    this.#cancel.forEach((cancel) => cancel());
    this.#cancel = [];
    const socket = this.#socket;
    this.#socket = null;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
  }

  #later(ms: number, run: () => void): () => void {
    // Timers of a socket die with it; spent ones are forgotten so that a long-lived socket does not collect them.
    const cancel = this.options.clock.after(ms, () => {
      this.#cancel = this.#cancel.filter((other) => other !== cancel);
      run();
    });
    this.#cancel.push(cancel);
    return cancel;
  }

  #enter(state: LinkState): void {
    this.#state = state;
    this.options.changed(state);
  }
}
