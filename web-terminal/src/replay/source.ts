/** Where a replay's records come from: a session's journal, fetched piece by piece, or a recorded demonstration. */
import type { Keyframe, Recording, RecordingMarker } from '../api/types';
import { JournalDecoder, type JournalRecord } from '../protocol/journal';

/** A run of records that is fetched and kept as one. */
export interface Segment {
  /** Time of its first record; no record of an earlier segment is later. */
  at_us: number;
  from: number;
  to: number;
}

export interface Source {
  readonly durationUs: number;
  /** Where the session begins; what is before (a machine that was warm for an hour) is drawn, and not played. */
  readonly startUs: number;
  readonly segments: readonly Segment[];
  /** First segment needed to draw this terminal as it was at `at_us`. */
  startFor(terminal: number, at_us: number): number;
  load(segment: number): Promise<JournalRecord[]>;
  /** Size of a terminal before its first record, where it is known. */
  size(terminal: number): { cols: number; rows: number } | null;
}

/** A segment is at least this long: a request costs a round trip, a seek costs a segment. 256 KiB is 50 ms at 40 Mbit/s. */
const SEGMENT_BYTES = 256 * 1024;
/** Decoded segments kept: 64 × 256 KiB is 16 MiB. */
const KEPT = 64;

/** Cuts a journal where keyframes are, which are records' starts whose times are known. */
export function segmentsOf(keyframes: readonly Keyframe[], end: number): Segment[] {
  const cuts: Segment[] = [{ at_us: 0, from: 0, to: end }];
  for (const { at_us, journal } of [...keyframes].sort((a, b) => a.journal - b.journal)) {
    const last = cuts.at(-1)!;
    if (journal - last.from < SEGMENT_BYTES || journal >= end) continue;
    last.to = journal;
    cuts.push({ at_us, from: journal, to: end });
  }
  return cuts;
}

/** A session's journal, by ranges. */
export class JournalSource implements Source {
  segments: Segment[];
  durationUs: number;
  readonly startUs: number;
  #keyframes: readonly Keyframe[];
  readonly #sizes: Recording['terminals'];
  readonly #cache = new Map<number, Promise<JournalRecord[]>>();

  constructor(index: Recording, private readonly fetch: (from: number, to: number) => Promise<Uint8Array>) {
    this.#sizes = index.terminals;
    this.#keyframes = index.keyframes;
    this.segments = segmentsOf(index.keyframes, index.end);
    this.durationUs = index.duration_us;
    this.startUs = index.start_us;
  }

  /** The recording has grown. What was cut before is cut the same again; only the last piece is longer. */
  grow(index: Recording): void {
    const stale = this.segments.length - 1;
    const before = this.segments[stale]?.to;
    this.#keyframes = index.keyframes;
    this.segments = segmentsOf(index.keyframes, index.end);
    this.durationUs = index.duration_us;
    if (this.segments[stale]?.to !== before) this.#cache.delete(stale);
  }

  size(terminal: number) {
    // 0: nothing was recorded of it.
    return this.#sizes.find((other) => other.terminal === terminal && other.cols > 0) ?? null;
  }

  startFor(terminal: number, at_us: number): number {
    let journal = 0;
    for (const keyframe of this.#keyframes) {
      if (keyframe.terminal === terminal && keyframe.at_us <= at_us && keyframe.journal > journal) journal = keyframe.journal;
    }
    return Math.max(0, this.segments.findLastIndex((segment) => segment.from <= journal));
  }

  load(index: number): Promise<JournalRecord[]> {
    const kept = this.#cache.get(index);
    if (kept) {
      // Used last, dropped last.
      this.#cache.delete(index);
      this.#cache.set(index, kept);
      return kept;
    }
    const { from, to } = this.segments[index]!;
    const records = to > from ? this.fetch(from, to).then((bytes) => new JournalDecoder(from).push(bytes)) : Promise.resolve([]);
    records.catch(() => this.#cache.delete(index));
    this.#cache.set(index, records);
    const oldest = this.#cache.keys().next();
    if (this.#cache.size > KEPT && !oldest.done) this.#cache.delete(oldest.value);
    return records;
  }
}

/** An asciicast (version 2 or 3) as a source with one terminal. */
export class CastSource implements Source {
  readonly durationUs: number;
  readonly startUs = 0;
  readonly segments: Segment[];
  readonly title: string;
  readonly markers: RecordingMarker[] = [];
  readonly #records: JournalRecord[] = [];

  constructor(text: string) {
    const lines = text.split('\n').filter((line) => line.trim() !== '' && !line.startsWith('#'));
    const header = JSON.parse(lines[0] ?? 'null') as CastHeader | null;
    if (!header || (header.version !== 2 && header.version !== 3)) throw new Error('not an asciicast of version 2 or 3');
    this.title = header.title ?? '';
    this.#add(0, { kind: 'keyframe', cols: header.term?.cols ?? header.width ?? 80, rows: header.term?.rows ?? header.height ?? 24, screen: new Uint8Array() });
    let now = 0;
    for (const line of lines.slice(1)) now = this.#event(JSON.parse(line) as [number, string, string], header.version, now);
    this.durationUs = now;
    this.segments = [{ at_us: 0, from: 0, to: this.#records.length }];
  }

  startFor(): number {
    return 0;
  }

  size(): null {
    return null;
  }

  load(): Promise<JournalRecord[]> {
    return Promise.resolve(this.#records);
  }

  #event([seconds, code, data]: [number, string, string], version: number, now: number): number {
    // Version 2 counts from the start, version 3 from the event before.
    const at_us = Math.round(seconds * 1e6) + (version === 3 ? now : 0);
    if (code === 'o') this.#add(at_us, { kind: 'output', bytes: new TextEncoder().encode(data) });
    const size = code === 'r' ? /^(\d+)x(\d+)$/.exec(data) : null;
    if (size) this.#add(at_us, { kind: 'resize', cols: Number(size[1]), rows: Number(size[2]) });
    if (code === 'm') this.markers.push({ at_us, journal: 0, terminal: 0, kind: 'marker', text: data, status: null });
    return at_us;
  }

  #add(time_us: number, event: JournalRecord['event']): void {
    this.#records.push({ terminal: 0, time_us, offset: 0, event });
  }
}

interface CastHeader {
  version: number;
  width?: number;
  height?: number;
  term?: { cols: number; rows: number };
  title?: string;
}
