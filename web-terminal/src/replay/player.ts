/**
 * Plays records into screens: position, speed, seeking, skipping of pauses. It is told how much time has passed and owns no
 * timer, so it runs the same in a test and on a page.
 */
import type { JournalRecord } from '../protocol/journal';
import type { Screen } from '../terminal/stream';
import type { Source } from './source';

/** A longer pause than this is skipped, */
const IDLE_US = 2_000_000;
/** … up to this much before something happens, so that it is seen to happen. */
const LEAD_US = 500_000;

export interface PlayerState {
  positionUs: number;
  playing: boolean;
  loading: boolean;
  error: Error | null;
}

export class Player {
  speed = 1;
  skipIdle = true;
  #position = 0;
  #playing = false;
  #error: Error | null = null;
  #segment = 0;
  #index = 0;
  #records: JournalRecord[] | null = null;
  /** A later seek makes an earlier one, still loading, void. */
  #round = 0;
  #busy = false;
  #screens = new Map<number, Screen>();

  constructor(readonly source: Source, private readonly changed: (state: PlayerState) => void) {}

  get state(): PlayerState {
    return { positionUs: this.#position, playing: this.#playing, loading: this.#busy, error: this.#error };
  }

  /** Draws these terminals from now on, as they are at the current position. */
  show(screens: Map<number, Screen>): Promise<void> {
    this.#screens = screens;
    return this.seek(this.#position);
  }

  play(): void {
    if (this.#position >= this.source.durationUs) void this.seek(this.source.startUs);
    this.#playing = true;
    this.#tell();
  }

  pause(): void {
    this.#playing = false;
    this.#tell();
  }

  /** Draws the shown terminals as they were at `at`: the last keyframe before it, and what came after that. */
  async seek(at: number): Promise<void> {
    const round = ++this.#round;
    this.#position = Math.max(this.source.startUs, Math.min(at, this.source.durationUs));
    this.#busy = true;
    this.#error = null;
    this.#tell();
    try {
      const records = await this.#through(this.#position, round);
      if (!records) return;
      for (const [terminal, screen] of this.#screens) draw(records, terminal, screen, this.#position, this.source.size(terminal));
    } catch (error) {
      this.#fail(error, round);
      return;
    }
    this.#busy = false;
    this.#tell();
  }

  /** `ms` of real time have passed. */
  advance(ms: number): void {
    if (!this.#playing || this.#busy) return;
    if (this.skipIdle) {
      const next = this.#nextVisible();
      if (next - this.#position > IDLE_US) this.#position = next - LEAD_US;
    }
    const target = Math.min(this.#position + ms * 1000 * this.speed, this.source.durationUs);
    if (!this.#emit(target)) return;
    this.#position = target;
    if (target >= this.source.durationUs) this.#playing = false;
    this.#tell();
  }

  /** Reads every record needed to draw the shown terminals at `at`, and leaves the cursor after it. */
  async #through(at: number, round: number): Promise<JournalRecord[] | null> {
    const { segments } = this.source;
    const here = Math.max(0, segments.findLastIndex((segment) => segment.at_us <= at));
    const first = Math.min(here, ...[...this.#screens.keys()].map((terminal) => this.source.startFor(terminal, at)));
    const all: JournalRecord[] = [];
    for (let segment = first; segment <= here; segment++) {
      const records = await this.source.load(segment);
      if (round !== this.#round) return null;
      all.push(...records);
      this.#records = records;
    }
    this.#segment = here;
    const after = this.#records?.findIndex((record) => record.time_us > at) ?? -1;
    this.#index = after < 0 ? (this.#records?.length ?? 0) : after;
    return all;
  }

  /** Hands on records up to `target`. False when the next segment has to be fetched first. */
  #emit(target: number): boolean {
    for (;;) {
      const record = this.#records?.[this.#index];
      if (!record) {
        if (this.#segment + 1 >= this.source.segments.length) return true;
        this.#next();
        return false;
      }
      if (record.time_us > target) return true;
      const screen = this.#screens.get(record.terminal);
      // A keyframe on the way says what is already drawn.
      if (screen && record.event.kind !== 'keyframe') apply(record, screen);
      this.#index++;
    }
  }

  #next(): void {
    const round = this.#round;
    this.#busy = true;
    this.#tell();
    this.source.load(this.#segment + 1).then(
      (records) => {
        if (round !== this.#round) return;
        this.#segment++;
        this.#records = records;
        this.#index = 0;
        this.#busy = false;
        this.#tell();
      },
      (error: unknown) => this.#fail(error, round),
    );
  }

  /** Time of the next thing that is seen on a shown terminal; where that is not loaded, the time up to which nothing is. */
  #nextVisible(): number {
    const found = this.#records?.slice(this.#index).find((record) => this.#screens.has(record.terminal) && record.event.kind === 'output');
    return found?.time_us ?? this.source.segments[this.#segment + 1]?.at_us ?? this.source.durationUs;
  }

  #fail(error: unknown, round: number): void {
    if (round !== this.#round) return;
    this.#error = error instanceof Error ? error : new Error(String(error));
    this.#playing = false;
    this.#busy = false;
    this.#tell();
  }

  #tell(): void {
    this.changed(this.state);
  }
}

function draw(records: JournalRecord[], terminal: number, screen: Screen, at: number, size: { cols: number; rows: number } | null): void {
  const mine = records.filter((record) => record.terminal === terminal && record.time_us <= at);
  const start = mine.findLastIndex((record) => record.event.kind === 'keyframe');
  screen.reset();
  if (size && start < 0) screen.resize(size.cols, size.rows);
  for (const record of mine.slice(Math.max(0, start))) apply(record, screen);
}

function apply({ event }: JournalRecord, screen: Screen): void {
  if (event.kind === 'output') screen.write(event.bytes, () => {});
  else if (event.kind === 'resize') screen.resize(event.cols, event.rows);
  else if (event.kind === 'keyframe') {
    screen.resize(event.cols, event.rows);
    screen.write(event.screen, () => {});
  }
}
