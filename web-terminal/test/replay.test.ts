import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Keyframe, Recording } from '../src/api/types';
import { crc32c } from '../src/protocol/crc32c';
import type { JournalRecord } from '../src/protocol/journal';
import { isBad, marksOf } from '../src/replay/marks';
import { Player } from '../src/replay/player';
import { CastSource, JournalSource, segmentsOf, type Source } from '../src/replay/source';
import { settle } from './support/clock';
import { FakeScreen } from './support/server';

const SECOND = 1_000_000;
const bytes = (text: string) => new TextEncoder().encode(text);
const text = (screen: FakeScreen) => String.fromCharCode(...screen.bytes);

/** Records in given pieces; a keyframe holds what was written so far, as a real screen would. */
class Pieces implements Source {
  loads: number[] = [];
  constructor(private readonly pieces: JournalRecord[][], readonly durationUs: number, readonly startUs = 0) {}

  get segments() {
    return this.pieces.map((piece, index) => ({ at_us: index ? piece[0]!.time_us : 0, from: index, to: index + 1 }));
  }

  startFor(terminal: number, at_us: number): number {
    const has = (piece: JournalRecord[]) => piece.some((record) => record.terminal === terminal && record.event.kind === 'keyframe' && record.time_us <= at_us);
    return Math.max(0, this.pieces.findLastIndex(has));
  }

  size() {
    return null;
  }

  load(segment: number): Promise<JournalRecord[]> {
    this.loads.push(segment);
    return Promise.resolve(this.pieces[segment]!);
  }
}

function recorded(outputs: { at: number; terminal: number; text: string }[], keyframeEvery: number): { pieces: JournalRecord[][]; duration: number } {
  const written = new Map<number, string>();
  const pieces: JournalRecord[][] = [[]];
  outputs.forEach(({ at, terminal, text }, index) => {
    if (index % keyframeEvery === 0) {
      pieces.push([...written].map(([terminal, all]) => ({ terminal, time_us: at, offset: all.length, event: { kind: 'keyframe', cols: 80, rows: 24, screen: bytes(all) } })));
      if (pieces.at(-1)!.length === 0) pieces.pop();
    }
    const before = written.get(terminal) ?? '';
    pieces.at(-1)!.push({ terminal, time_us: at, offset: before.length, event: { kind: 'output', bytes: bytes(text) } });
    written.set(terminal, before + text);
  });
  return { pieces: pieces.filter((piece) => piece.length > 0), duration: outputs.at(-1)?.at ?? 0 };
}

const session = fc.array(fc.record({ gap: fc.integer({ min: 1, max: 5_000_000 }), terminal: fc.integer({ min: 0, max: 2 }), text: fc.stringMatching(/^[a-z]{1,4}$/) }), { minLength: 1, maxLength: 60 })
  .map((list) => {
    let at = 0;
    return list.map(({ gap, terminal, text }) => ({ at: (at += gap), terminal, text }));
  });

it('a seek shows what playing from the start shows, for every terminal and time', async () => {
  await fc.assert(
    fc.asyncProperty(session, fc.integer({ min: 1, max: 20 }), fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { minLength: 1, maxLength: 5 }), async (outputs, every, places) => {
      const { pieces, duration } = recorded(outputs, every);
      const player = new Player(new Pieces(pieces, duration), () => {});
      const screens = new Map([0, 1, 2].map((terminal) => [terminal, new FakeScreen()]));
      await player.show(screens);
      for (const place of places) {
        const at = Math.floor(place * duration);
        await player.seek(at);
        for (const [terminal, screen] of screens) {
          expect(text(screen)).toBe(outputs.filter((output) => output.terminal === terminal && output.at <= at).map((output) => output.text).join(''));
        }
      }
    }),
    { numRuns: 200 },
  );
});

it('playing shows everything once, whatever the steps and the speed', async () => {
  await fc.assert(
    fc.asyncProperty(session, fc.integer({ min: 1, max: 20 }), fc.constantFrom(0.5, 1, 4, 16), fc.boolean(), fc.integer({ min: 5, max: 400 }), async (outputs, every, speed, skipIdle, step) => {
      const { pieces, duration } = recorded(outputs, every);
      const player = new Player(new Pieces(pieces, duration), () => {});
      Object.assign(player, { speed, skipIdle });
      const screen = new FakeScreen();
      await player.show(new Map([[0, screen]]));
      player.play();
      for (let i = 0; i < 200_000 && player.state.playing; i++) {
        player.advance(step);
        if (player.state.loading) await settle();
      }
      expect(player.state.playing).toBe(false);
      expect(text(screen)).toBe(outputs.filter((output) => output.terminal === 0).map((output) => output.text).join(''));
    }),
    { numRuns: 60 },
  );
}, 30_000);

it('a pause of an hour is skipped, and what ends it is seen half a second later', async () => {
  const { pieces } = recorded([{ at: SECOND, terminal: 0, text: 'a' }, { at: 3600 * SECOND, terminal: 0, text: 'b' }], 100);
  const player = new Player(new Pieces(pieces, 3600 * SECOND), () => {});
  const screen = new FakeScreen();
  await player.show(new Map([[0, screen]]));
  player.play();
  for (let ms = 0; ms < 1100; ms += 100) player.advance(100);
  expect(text(screen)).toBe('a');
  for (let ms = 0; ms < 600; ms += 100) player.advance(100);
  expect(text(screen)).toBe('ab');
});

it('a machine that was warm for an hour before its session is drawn, and played from the session on', async () => {
  const { pieces } = recorded([{ at: SECOND, terminal: 0, text: 'a' }, { at: 3601 * SECOND, terminal: 0, text: 'b' }], 100);
  const player = new Player(new Pieces(pieces, 3602 * SECOND, 3600 * SECOND), () => {});
  Object.assign(player, { skipIdle: false });
  const screen = new FakeScreen();
  await player.show(new Map([[0, screen]]));
  expect(player.state.positionUs).toBe(3600 * SECOND);
  expect(text(screen)).toBe('a');
  await player.seek(0);
  expect(player.state.positionUs).toBe(3600 * SECOND);
  player.play();
  for (let ms = 0; ms < 2100; ms += 100) player.advance(100);
  expect(text(screen)).toBe('ab');
  expect(player.state.playing).toBe(false);
});

it('a seek while another is loading wins', async () => {
  const { pieces, duration } = recorded([{ at: SECOND, terminal: 0, text: 'a' }, { at: 2 * SECOND, terminal: 0, text: 'b' }], 1);
  const player = new Player(new Pieces(pieces, duration), () => {});
  const screen = new FakeScreen();
  await player.show(new Map([[0, screen]]));
  await Promise.all([player.seek(2 * SECOND), player.seek(SECOND)]);
  expect(text(screen)).toBe('a');
  expect(player.state.positionUs).toBe(SECOND);
});

it('a piece that cannot be read is an error that stops, not a blank screen', async () => {
  const broken: Source = { durationUs: SECOND, startUs: 0, segments: [{ at_us: 0, from: 0, to: 1 }], startFor: () => 0, size: () => null, load: () => Promise.reject(new Error('checksum')) };
  const player = new Player(broken, () => {});
  await player.show(new Map([[0, new FakeScreen()]]));
  expect(player.state).toMatchObject({ playing: false, loading: false, error: new Error('checksum') });
});

describe('a journal by ranges', () => {
  const encode = (text: string, time: number): Uint8Array => {
    const out = new Uint8Array(28 + text.length);
    const view = new DataView(out.buffer);
    view.setUint32(0, text.length);
    view.setUint8(4, 1);
    view.setBigUint64(8, BigInt(time));
    out.set(bytes(text), 28);
    view.setUint32(24, crc32c(out.subarray(28), crc32c(out.subarray(0, 24))));
    return out;
  };
  const index = (end: number, keyframes: Keyframe[] = []): Recording => ({ state: 'open', end, chunks: 1, duration_us: SECOND, start_us: 0, terminals: [{ id: 'r1', terminal: 0, cols: 80, rows: 24, output: 0 }], markers: [], keyframes });

  it('is cut at keyframes, into pieces of at least 256 KiB that cover it', () => {
    const keyframes = Array.from({ length: 50 }, (_, i) => ({ at_us: i * 1000, journal: i * 60_000, terminal: 0, offset: 0 }));
    const segments = segmentsOf(keyframes, 3_000_000);
    expect(segments[0]!.from).toBe(0);
    expect(segments.at(-1)!.to).toBe(3_000_000);
    segments.slice(1).forEach((segment, i) => {
      expect(segment.from).toBe(segments[i]!.to);
      expect(segment.from - segments[i]!.from).toBeGreaterThanOrEqual(256 * 1024);
      expect(keyframes.some((keyframe) => keyframe.journal === segment.from && keyframe.at_us === segment.at_us)).toBe(true);
    });
  });

  it('is fetched once, and again where it has grown', async () => {
    const [first, second] = [encode('one', 1), encode('two', 2)];
    const whole = new Uint8Array([...first, ...second]);
    const asked: [number, number][] = [];
    const source = new JournalSource(index(first.length), (from, to) => {
      asked.push([from, to]);
      return Promise.resolve(whole.slice(from, to));
    });
    expect(await source.load(0)).toHaveLength(1);
    await source.load(0);
    source.grow(index(whole.length));
    expect(await source.load(0)).toHaveLength(2);
    expect(asked).toEqual([[0, first.length], [0, whole.length]]);
  });

  it('is asked for again after a failure', async () => {
    let fails = true;
    const whole = encode('one', 1);
    const source = new JournalSource(index(whole.length), () => (fails ? Promise.reject(new Error('offline')) : Promise.resolve(whole)));
    await expect(source.load(0)).rejects.toThrow('offline');
    fails = false;
    expect(await source.load(0)).toHaveLength(1);
  });
});

describe('a demonstration', () => {
  it.each([
    [2, '{"version":2,"width":100,"height":30}\n[1.0,"o","a"]\n[2.5,"r","120x40"]\n[3,"m","step 2"]\n[3.5,"o","é"]\n'],
    [3, '{"version":3,"term":{"cols":100,"rows":30}}\n# a comment\n[1.0,"o","a"]\n[1.5,"r","120x40"]\n[0.5,"m","step 2"]\n[0.5,"o","é"]\n[0,"x","0"]\n'],
  ])('as asciicast version %i plays the same', async (_, cast) => {
    const source = new CastSource(cast);
    expect(source.durationUs).toBe(3.5 * SECOND);
    expect(source.markers.map(({ at_us, text }) => [at_us, text])).toEqual([[3 * SECOND, 'step 2']]);
    const player = new Player(source, () => {});
    const screen = new FakeScreen();
    await player.show(new Map([[0, screen]]));
    expect(screen.size).toEqual({ cols: 100, rows: 30 });
    await player.seek(source.durationUs);
    expect(screen.size).toEqual({ cols: 120, rows: 40 });
    expect(new TextDecoder().decode(Uint8Array.from(screen.bytes))).toBe('aé');
  });

  it('that is something else is refused', () => {
    expect(() => new CastSource('{"version":1}')).toThrow('asciicast');
    expect(() => new CastSource('')).toThrow('asciicast');
  });
});

it('a command told when entered and when ended is one mark, with its status', () => {
  const mark = (kind: 'command' | 'resize' | 'check', text: string, status: number | null, terminal = 0, at_us = 0) => ({ kind, text, status, terminal, at_us, journal: 0 });
  const marks = marksOf([
    mark('resize', '80x24', null), mark('command', 'ls', null, 0, 1), mark('command', 'ip a', null, 1, 2), mark('command', 'ls', 2, 0, 3),
    mark('command', 'show ip route', null, 1, 4), mark('check', 'ospf-up', 0), mark('check', 'ospf-up', 1), mark('command', 'pwd', 0, 0, 9),
  ]);
  expect(marks.map(({ text, status, at_us }) => [text, status, at_us])).toEqual([['ls', 2, 1], ['ip a', null, 2], ['show ip route', null, 4], ['ospf-up', 0, 0], ['ospf-up', 1, 0], ['pwd', 0, 9]]);
  expect(marks.map(isBad)).toEqual([true, false, false, true, false, false]);
});

it('a router tells no status: its command is one mark as well, and the same one entered again is another', () => {
  const mark = (took_us: number | null, at_us: number) => ({ kind: 'command' as const, text: 'show ip route', status: null, took_us, terminal: 1, at_us, journal: 0 });
  const marks = marksOf([mark(null, 1), mark(900, 2), mark(null, 3), mark(0, 4), mark(null, 5)]);
  expect(marks.map(({ at_us, took_us }) => [at_us, took_us])).toEqual([[1, 900], [3, 0], [5, null]]);
  expect(marks.some(isBad)).toBe(false);
});
