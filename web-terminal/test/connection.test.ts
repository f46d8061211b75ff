import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { ToBrowser } from '../src/protocol/messages';
import { Connection } from '../src/terminal/connection';
import { OUTBOX_BYTES_MAX } from '../src/terminal/outbox';
import type { LinkState, Socket } from '../src/transport/link';
import { FakeClock } from './support/clock';
import { FakeScreen, FakeServer } from './support/server';

const bytes = (text: string) => new TextEncoder().encode(text);

function tab(server: FakeServer, clock: FakeClock, seat = true) {
  const states: LinkState[] = [];
  const messages: ToBrowser[] = [];
  const screen = new FakeScreen();
  const connection = new Connection({
    dial: server.dial,
    clock,
    message: (message) => messages.push(message),
    state: (state) => states.push(state),
  });
  connection.start();
  connection.attach(0, { screen, seat, fits: seat, cols: 80, rows: 24 });
  return { connection, screen, states, messages, drawnText: () => String.fromCharCode(...screen.bytes) };
}

let clock: FakeClock;
let server: FakeServer;
beforeEach(() => {
  clock = new FakeClock();
  server = new FakeServer(clock);
});

describe('whatever the network does', () => {
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.record({ do: fc.constant('type' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 5 }) }) },
    { weight: 6, arbitrary: fc.record({ do: fc.constant('emit' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 40 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('cut' as const, 'half-open' as const, 'draw' as const, 'mute' as const, 'repeat' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('skip' as const), bytes: fc.uint8Array({ minLength: 1, maxLength: 9 }) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('wait' as const), ms: fc.integer({ min: 1, max: 20_000 }) }) },
  );

  it('the bytes drawn are the bytes written, and each typed byte is applied once and in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), fc.boolean(), fc.infiniteStream(fc.double({ min: 0, max: 0.999, noNaN: true })), async (steps, deflate, chance) => {
        const clock = new FakeClock(() => chance.next().value as number);
        const server = new FakeServer(clock);
        server.deflate = deflate;
        const { connection, screen } = tab(server, clock);
        await clock.advance(5);
        const typed: number[] = [];
        for (const s of steps) {
          if (s.do === 'type') {
            connection.input(0, s.bytes);
            typed.push(...s.bytes);
          } else if (s.do === 'emit') server.emit(s.bytes);
          else if (s.do === 'skip') server.skip(s.bytes);
          else if (s.do === 'cut') server.cut();
          else if (s.do === 'half-open') server.halfOpen();
          else if (s.do === 'mute') server.mute = !server.mute;
          else if (s.do === 'repeat') server.repeat(Math.max(0, server.output.length - 10));
          else if (s.do === 'draw') screen.draw();
          else if (s.do === 'wait') await clock.advance(s.ms);
        }
        server.mute = false;
        await clock.advance(60_000);
        server.emit(bytes('.')); // a hole at the very end is seen at the next byte
        await clock.advance(1000);
        screen.draw();
        await clock.advance(100);
        expect(screen.bytes).toEqual([...server.output]);
        expect(server.applied).toEqual(typed);
        expect(server.drawn).toBe(server.output.length);
        connection.close();
      }),
      { numRuns: 300 },
    );
  });
});

describe('a lost socket', () => {
  it('comes back at the next byte, without a snapshot', async () => {
    const { screen, drawnText } = tab(server, clock);
    await clock.advance(5);
    server.emit(bytes('before '));
    screen.draw();
    server.cut();
    server.emit(bytes('meanwhile '));
    await clock.advance(10_000);
    server.emit(bytes('after'));
    expect(drawnText()).toBe('before meanwhile after');
    expect(server.attaches.map((attach) => attach.type === 'attach' && attach.from)).toEqual([null, 7]);
    expect(server.snapshots).toBe(1);
  });

  it('is replaced by a snapshot when the missed bytes are gone', async () => {
    const { drawnText } = tab(server, clock);
    await clock.advance(5);
    server.emit(bytes('a'));
    server.cut();
    server.emit(new Uint8Array(server.ring + 1).fill(0x62));
    await clock.advance(10_000);
    expect(server.snapshots).toBe(2);
    expect(drawnText()).toBe('a' + 'b'.repeat(server.ring + 1));
  });

  it('is noticed within 15 seconds when it dies without a word', async () => {
    const { states } = tab(server, clock);
    await clock.advance(10_100);
    server.halfOpen();
    const from = clock.now();
    while (states.at(-1)?.name === 'open') await clock.advance(500);
    expect(clock.now() - from).toBeLessThanOrEqual(15_000);
  });

  it('is noticed within 3 seconds when the device says that it woke', async () => {
    const { connection, states } = tab(server, clock);
    await clock.advance(10_100);
    server.halfOpen();
    connection.link.nudge();
    await clock.advance(3000);
    expect(states.some((state) => state.name === 'waiting')).toBe(true);
  });

  it('is tried again later and later, between 0 and 8 seconds apart', async () => {
    const waits: number[] = [];
    const loud = new FakeClock(() => 0.999);
    const connection = new Connection({
      dial: () => Promise.reject(new Error('offline')),
      clock: loud,
      message: () => {},
      state: (state) => state.name === 'waiting' && waits.push(state.until - loud.now()),
    });
    connection.start();
    await loud.advance(60_000);
    expect(waits.slice(0, 7).map((ms) => Math.round(ms / 10) * 10)).toEqual([250, 500, 1000, 2000, 4000, 7990, 7990]);
  });

  describe('whose next one is asked for over a connection that died without a word', () => {
    /** A tab whose dials hang until `alive`, then go to the server. */
    function hanging() {
      let alive = false;
      let hung = 0;
      const dial = () => {
        if (alive) return server.dial();
        hung++;
        return new Promise<never>(() => {});
      };
      const states: LinkState[] = [];
      const connection = new Connection({ dial, clock, message: () => {}, state: (state) => states.push(state) });
      connection.start();
      return { connection, states, revive: () => (alive = true), hung: () => hung };
    }

    it('is tried again by itself', async () => {
      const { states, revive } = hanging();
      await clock.advance(19_900);
      expect(states.map((state) => state.name)).toEqual(['connecting']);
      revive();
      await clock.advance(1000);
      expect(states.at(-1)?.name).toBe('open');
      expect(server.dials).toBe(1);
    });

    it('is tried again at once when the device says that it woke, and not twice', async () => {
      const { connection, states, revive, hung } = hanging();
      await clock.advance(100);
      connection.link.nudge();
      expect(hung()).toBe(1);
      await clock.advance(5000);
      revive();
      connection.link.nudge();
      connection.link.nudge();
      await clock.advance(100);
      expect(states.at(-1)?.name).toBe('open');
      expect(server.dials).toBe(1);
    });
  });

  it('has its whole ten seconds to open, however long its ticket took', async () => {
    const dead: Socket = { binaryType: '', send() {}, close() {}, onopen: null, onmessage: null, onclose: null };
    const dial = () => new Promise<Socket>((dialled) => clock.after(19_000, () => dialled(dead)));
    const states: LinkState[] = [];
    const connection = new Connection({ dial, clock, message: () => {}, state: (state) => states.push(state) });
    connection.start();
    await clock.advance(28_900);
    expect(states.map((state) => state.name)).toEqual(['connecting']);
    await clock.advance(200);
    expect(states.some((state) => state.name === 'waiting')).toBe(true);
  });

  it('whose dial failed late is tried again once, not twice', async () => {
    let dials = 0;
    const dial = () => new Promise<never>((_, failed) => clock.after(++dials === 1 ? 19_990 : 1e9, () => failed(new Error('no answer'))));
    const connection = new Connection({ dial, clock, message: () => {}, state: () => {} });
    connection.start();
    await clock.advance(20_500);
    expect(dials).toBe(2);
    expect(connection.link.state).toEqual({ name: 'connecting', attempt: 1 });
  });

  it('waits as long as a server that goes away asks', async () => {
    tab(server, clock);
    await clock.advance(5);
    server.tell({ type: 'go-away', after_ms: 5000 });
    await clock.advance(4900);
    expect(server.dials).toBe(1);
    await clock.advance(1000);
    expect(server.dials).toBe(2);
  });

  it('is at the next server at once when a server that goes away asks for no pause', async () => {
    const { states } = tab(server, clock);
    await clock.advance(5);
    server.tell({ type: 'go-away', after_ms: 0 });
    await clock.advance(1);
    expect(server.dials).toBe(2);
    expect(states.some((state) => state.name === 'ended')).toBe(false);
  });

  it.each([[1000, 'over'], [4403, 'not-allowed'], [4404, 'gone'], [4409, 'crowded']])('is final after close code %i (%s)', async (code, why) => {
    const { states } = tab(server, clock);
    await clock.advance(5);
    server.cut(code as number);
    await clock.advance(60_000);
    expect(states.at(-1)).toEqual({ name: 'ended', why });
    expect(server.dials).toBe(1);
  });
});

describe('acknowledging what is drawn', () => {
  it('waits for the emulator, then at most 50 ms', async () => {
    const { screen } = tab(server, clock);
    await clock.advance(5);
    server.emit(bytes('x'.repeat(40)));
    await clock.advance(1000);
    expect(server.drawn).toBe(0);
    screen.draw();
    expect(server.drawn).toBe(0);
    await clock.advance(50);
    expect(server.drawn).toBe(40);
  });

  it('does not wait once 16 KiB are drawn', async () => {
    const { screen } = tab(server, clock);
    await clock.advance(5);
    server.emit(new Uint8Array(16 * 1024));
    screen.draw();
    expect(server.drawn).toBe(16 * 1024);
  });
});

describe('the seat', () => {
  it('keeps what is typed while nobody has it, and takes it', async () => {
    server.holder = 'nobody';
    const { connection } = tab(server, clock);
    await clock.advance(5);
    expect(connection.input(0, bytes('ls\r'))).toBe('kept');
    expect(String.fromCharCode(...server.applied)).toBe('ls\r');
  });

  it('refuses typing while another has it', async () => {
    server.holder = 'other';
    const { connection } = tab(server, clock);
    await clock.advance(5);
    expect(connection.input(0, bytes('x'))).toBe('no-seat');
    expect(server.applied).toEqual([]);
  });

  it('never types later what was under way when a teacher took it, and the next key still arrives', async () => {
    const { connection } = tab(server, clock);
    await clock.advance(5);
    connection.input(0, bytes('a'));
    server.holder = 'other';
    connection.input(0, bytes('reload'));
    server.moveSeat('other');
    server.moveSeat('you');
    connection.input(0, bytes('b'));
    expect(String.fromCharCode(...server.applied)).toBe('ab');
  });

  it('never types for a viewer', async () => {
    const { connection } = tab(server, clock, false);
    await clock.advance(5);
    expect(connection.input(0, bytes('x'))).toBe('no-seat');
  });
});

it('a paste over the message limit is cut, arrives whole, and the queue is bounded', async () => {
  const { connection } = tab(server, clock);
  await clock.advance(5);
  const paste = new Uint8Array(150 * 1024).map((_, i) => i);
  connection.input(0, paste);
  expect(server.applied.length).toBe(paste.length);
  expect(server.applied.every((byte, i) => byte === paste[i])).toBe(true);
  server.mute = true;
  expect(connection.input(0, new Uint8Array(OUTBOX_BYTES_MAX))).toBe('sent');
  expect(connection.input(0, new Uint8Array(1))).toBe('full');
});

it('sizes change in order with the output', async () => {
  const { screen } = tab(server, clock);
  await clock.advance(5);
  server.tell({ type: 'resize', terminal: 0, cols: 132, rows: 43, offset: 0 });
  expect(screen.size).toEqual({ cols: 132, rows: 43 });
});

it('tells that a terminal writes again, in order with the news that its program ended', async () => {
  const told: string[] = [];
  const connection = new Connection({
    dial: server.dial,
    clock,
    message: (message) => message.type === 'exit' && told.push('exit'),
    state: () => {},
    wrote: () => told.push('wrote'),
  });
  connection.start();
  connection.attach(0, { screen: new FakeScreen(), seat: true, fits: true, cols: 80, rows: 24 });
  await clock.advance(5);
  server.emit(bytes('logout'));
  server.tell({ type: 'exit', terminal: 0, status: 0 });
  server.emit(bytes('login:'));
  expect(told).toEqual(['wrote', 'exit', 'wrote']);
});
