/**
 * The session's journal, as the replay page reads it; the twin of `lab-core/src/journal.rs`.
 *
 *     record := len:u32 kind:u8 flags:u8 terminal:u16 time_us:u64 offset:u64 crc:u32 payload[len]     (big endian)
 */
import { number64 } from './browser';
import { crc32c } from './crc32c';
import type { CheckOutcome, Command } from './messages';

export const HEADER_BYTES = 28;
export const PAYLOAD_MAX = 128 * 1024;
/** A record's `terminal` when it belongs to the whole session. */
export const WHOLE_SESSION = 0xffff;

export type JournalEvent =
  | { kind: 'output'; bytes: Uint8Array }
  | { kind: 'resize'; cols: number; rows: number }
  | { kind: 'command'; command: Command }
  | { kind: 'marker'; label: string }
  | { kind: 'check'; outcome: CheckOutcome }
  | { kind: 'seat'; writer: string; name: string; role: string }
  | { kind: 'join'; viewer: string; name: string; role: string; here: boolean }
  | { kind: 'exit'; status: number }
  | { kind: 'keyframe'; cols: number; rows: number; screen: Uint8Array }
  | { kind: 'lab'; event: { phase: string } & Record<string, unknown> }
  | { kind: 'input'; bytes: Uint8Array }
  | { kind: 'unknown'; code: number; payload: Uint8Array };

export interface JournalRecord {
  terminal: number;
  /** Microseconds since the agent started. */
  time_us: number;
  /** Output bytes of the terminal before this record. */
  offset: number;
  event: JournalEvent;
}

/** The journal cannot be read from `at` on. */
export class JournalError extends Error {
  override readonly name = 'JournalError';
  constructor(readonly at: number, what: string) {
    super(`journal offset ${at}: ${what}`);
  }
}

/** Turns journal bytes, in whatever pieces they come, into records. */
export class JournalDecoder {
  #buffer = new Uint8Array();
  #offset: number;

  /** `offset` is the journal offset of the first byte pushed and must be a record's start. */
  constructor(offset = 0) {
    this.#offset = offset;
  }

  /** Offset of the next record's first byte. */
  get offset(): number {
    return this.#offset;
  }

  /** Adds the bytes that follow and returns every whole record. After an error the decoder must be dropped. */
  push(bytes: Uint8Array): JournalRecord[] {
    const joined = new Uint8Array(this.#buffer.length + bytes.length);
    joined.set(this.#buffer);
    joined.set(bytes, this.#buffer.length);
    const records: JournalRecord[] = [];
    let at = 0;
    while (joined.length - at >= HEADER_BYTES) {
      const whole = HEADER_BYTES + new DataView(joined.buffer, at).getUint32(0);
      if (whole > HEADER_BYTES + PAYLOAD_MAX) throw new JournalError(this.#offset, `length ${whole - HEADER_BYTES} is over ${PAYLOAD_MAX}`);
      if (joined.length - at < whole) break;
      records.push(decodeRecord(joined.subarray(at, at + whole), this.#offset));
      at += whole;
      this.#offset += whole;
    }
    this.#buffer = joined.slice(at);
    return records;
  }
}

function decodeRecord(bytes: Uint8Array, at: number): JournalRecord {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const payload = bytes.subarray(HEADER_BYTES);
  if (crc32c(payload, crc32c(bytes.subarray(0, 24))) !== view.getUint32(24)) throw new JournalError(at, 'checksum does not match');
  const kind = view.getUint8(4);
  const event = decodeEvent(kind, payload);
  if (!event) throw new JournalError(at, `a record of kind ${kind} has a malformed payload`);
  return {
    terminal: view.getUint16(6),
    time_us: number64(view, 8),
    offset: number64(view, 16),
    event,
  };
}

function decodeEvent(kind: number, payload: Uint8Array): JournalEvent | null {
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  switch (kind) {
    case 1: return { kind: 'output', bytes: payload };
    case 2: return payload.length === 4 ? { kind: 'resize', cols: view.getUint16(0), rows: view.getUint16(2) } : null;
    case 3: return json<Command>(payload, (command) => ({ kind: 'command', command }));
    case 4: return json<{ label: string }>(payload, ({ label }) => ({ kind: 'marker', label }));
    case 5: return json<CheckOutcome>(payload, (outcome) => ({ kind: 'check', outcome }));
    case 6: return json<{ writer: string; name: string; role: string }>(payload, (seat) => ({ ...seat, kind: 'seat' }));
    case 7: return json<{ viewer: string; name: string; role: string; here: boolean }>(payload, (join) => ({ ...join, kind: 'join' }));
    case 8: return payload.length === 4 ? { kind: 'exit', status: view.getInt32(0) } : null;
    case 9:
      return payload.length >= 4
        ? { kind: 'keyframe', cols: view.getUint16(0), rows: view.getUint16(2), screen: payload.subarray(4) }
        : null;
    case 10: return json<{ phase: string }>(payload, (event) => ({ kind: 'lab', event }));
    case 11: return { kind: 'input', bytes: payload };
    default: return { kind: 'unknown', code: kind, payload };
  }
}

const UTF8 = new TextDecoder('utf-8', { fatal: true });

function json<T>(payload: Uint8Array, make: (value: T) => JournalEvent): JournalEvent | null {
  try {
    return make(JSON.parse(UTF8.decode(payload)) as T);
  } catch {
    return null;
  }
}
