import { decodeFrame, encodeFrame, FLAG_DEFLATE } from '../../src/protocol/browser';
import { deflateSync } from 'fflate';
import type { FromBrowser, SeatNotice, ToBrowser } from '../../src/protocol/messages';
import type { Clock } from '../../src/transport/clock';
import type { Socket } from '../../src/transport/link';
import type { Screen } from '../../src/terminal/stream';

type Fate = 'up' | 'cut' | 'half-open';

/** One end of a socket in memory; `half-open` swallows everything in both directions without a word. */
class FakeSocket implements Socket {
  binaryType = '';
  onopen: ((event: never) => void) | null = null;
  onmessage: ((event: { data: unknown }) => void) | null = null;
  onclose: ((event: { code: number; reason: string }) => void) | null = null;
  fate: Fate = 'up';

  constructor(private readonly server: FakeServer) {}

  send(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.fate === 'up') this.server.receive(this, data);
  }

  deliver(data: string | Uint8Array<ArrayBuffer>): void {
    if (this.fate !== 'up') return;
    this.onmessage?.({ data: typeof data === 'string' ? data : data.slice().buffer });
  }

  close(): void {
    this.fate = 'cut';
  }

  /** The other end or the network goes. */
  die(code: number): void {
    this.fate = 'cut';
    this.onclose?.({ code, reason: '' });
  }
}

/** A hub with one terminal: keeps its last `ring` bytes, applies numbered input once. */
export class FakeServer {
  output = new Uint8Array();
  applied: number[] = [];
  attaches: FromBrowser[] = [];
  drawn = 0;
  snapshots = 0;
  dials = 0;
  holder: SeatNotice['holder'] = 'you';
  ring = 64;
  deflate = false;
  /** Acknowledgements of input are lost with this socket: what was applied is sent again. */
  mute = false;
  #lastSeq = 0;
  #socket: FakeSocket | null = null;
  #attached = false;

  constructor(private readonly clock: Clock) {}

  dial = async (): Promise<Socket> => {
    this.dials++;
    const socket = new FakeSocket(this);
    this.#socket = socket;
    this.#attached = false;
    this.clock.after(1, () => {
      if (socket.fate === 'cut') return;
      socket.onopen?.(undefined as never);
      this.tell({ type: 'terminals', terminals: [{ id: 'r1', cols: 80, rows: 24, exited: null, seat: this.seat() }] });
    });
    return socket;
  };

  seat(): SeatNotice {
    return { holder: this.holder, name: '', role: '' };
  }

  moveSeat(holder: SeatNotice['holder']): void {
    this.holder = holder;
    this.tell({ type: 'seat', terminal: 0, seat: this.seat() });
  }

  tell(message: ToBrowser): void {
    this.#socket?.deliver(JSON.stringify(message));
  }

  emit(bytes: Uint8Array): void {
    const offset = this.output.length;
    const all = new Uint8Array(offset + bytes.length);
    all.set(this.output);
    all.set(bytes, offset);
    this.output = all;
    if (this.#attached) this.#send(offset, bytes);
  }

  /** Says something it has said before, as a confused or resynchronising server may. */
  repeat(from: number): void {
    if (this.#attached) this.#send(from, this.output.slice(from));
  }

  /** Leaves a hole in what it says. */
  skip(bytes: Uint8Array): void {
    const attached = this.#attached;
    this.#attached = false;
    this.emit(bytes);
    this.#attached = attached;
  }

  cut(code = 1006): void {
    this.#socket?.die(code);
  }

  halfOpen(): void {
    if (this.#socket?.fate === 'up') this.#socket.fate = 'half-open';
  }

  receive(socket: FakeSocket, data: string | Uint8Array<ArrayBuffer>): void {
    if (socket !== this.#socket) return;
    if (typeof data === 'string') this.#request(JSON.parse(data) as FromBrowser);
    else this.#frame(data);
  }

  #request(message: FromBrowser): void {
    if (message.type === 'ping') this.tell({ type: 'pong', t: message.t });
    if (message.type === 'seat') this.moveSeat(message.take ? 'you' : 'nobody');
    if (message.type !== 'attach') return;
    this.attaches.push(message);
    this.#attached = true;
    const oldest = Math.max(0, this.output.length - this.ring);
    if (message.from !== null && message.from >= oldest) {
      this.#send(message.from, this.output.slice(message.from));
      return;
    }
    this.snapshots++;
    this.#socket?.deliver(
      encodeFrame({ kind: 'snapshot', flags: this.#flags(), terminal: 0, offset: this.output.length, cols: 80, rows: 24, screen: this.#pack(this.output) }),
    );
  }

  #frame(data: Uint8Array): void {
    const frame = decodeFrame(data);
    if (frame.kind === 'drawn') this.drawn = Math.max(this.drawn, frame.offset);
    if (frame.kind !== 'input') return;
    if (this.holder !== 'you') return this.tell({ type: 'error', code: 'no-seat', message: '' });
    if (frame.seq > this.#lastSeq + 1) return this.tell({ type: 'error', code: 'input-order', message: '' });
    if (frame.seq === this.#lastSeq + 1) {
      this.#lastSeq++;
      this.applied.push(...frame.bytes);
    }
    if (!this.mute) this.#socket?.deliver(encodeFrame({ kind: 'input-ack', terminal: 0, seq: this.#lastSeq }));
  }

  #send(offset: number, bytes: Uint8Array): void {
    this.#socket?.deliver(encodeFrame({ kind: 'output', flags: this.#flags(), terminal: 0, offset, bytes: this.#pack(bytes) }));
  }

  #flags(): number {
    return this.deflate ? FLAG_DEFLATE : 0;
  }

  #pack(bytes: Uint8Array): Uint8Array {
    return this.deflate ? deflateSync(bytes) : bytes;
  }
}

/** A screen whose picture is every byte since the last reset, drawn only when told. */
export class FakeScreen implements Screen {
  bytes: number[] = [];
  size = { cols: 0, rows: 0 };
  #waiting: (() => void)[] = [];

  write(bytes: Uint8Array, drawn: () => void): void {
    this.bytes.push(...bytes);
    this.#waiting.push(drawn);
  }

  draw(): void {
    this.#waiting.splice(0).forEach((drawn) => drawn());
  }

  resize(cols: number, rows: number): void {
    this.size = { cols, rows };
  }

  reset(): void {
    this.bytes = [];
  }
}
