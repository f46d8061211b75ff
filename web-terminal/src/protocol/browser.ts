/**
 * Binary frames between a page and the orchestrator (`labwire.v1`, docs/protocol.md). The first byte is the kind,
 * integers are big endian. Offsets are 64-bit on the wire and numbers here: 2^53 bytes of output is 285 years at 1 MB/s.
 */

/** Payload is raw DEFLATE. */
export const FLAG_DEFLATE = 1;

/** Bytes in one input message; a longer paste is cut into several. */
export const INPUT_BYTES_MAX = 64 * 1024;

export type BrowserFrame =
  | { kind: 'output'; flags: number; terminal: number; offset: number; bytes: Uint8Array }
  | { kind: 'snapshot'; flags: number; terminal: number; offset: number; cols: number; rows: number; screen: Uint8Array }
  | { kind: 'input'; terminal: number; seq: number; bytes: Uint8Array }
  | { kind: 'input-ack'; terminal: number; seq: number }
  | { kind: 'drawn'; terminal: number; offset: number };

/** A message that is not a frame of this protocol. */
export class FrameError extends Error {
  override readonly name = 'FrameError';
}

const MIN_BYTES: Record<number, number> = { 0x11: 12, 0x12: 16, 0x13: 11, 0x14: 11, 0x15: 11 };
const CODES = { input: 0x13, 'input-ack': 0x14, drawn: 0x15 } as const;

/** Encodes as one binary message. */
export function encodeFrame(frame: BrowserFrame): Uint8Array<ArrayBuffer> {
  switch (frame.kind) {
    case 'output': {
      const { out, view } = allocate(12, frame.bytes, 0x11);
      view.setUint8(1, frame.flags);
      view.setUint16(2, frame.terminal);
      view.setBigUint64(4, BigInt(frame.offset));
      return out;
    }
    case 'snapshot': {
      const { out, view } = allocate(16, frame.screen, 0x12);
      view.setUint8(1, frame.flags);
      view.setUint16(2, frame.terminal);
      view.setBigUint64(4, BigInt(frame.offset));
      view.setUint16(12, frame.cols);
      view.setUint16(14, frame.rows);
      return out;
    }
    default: {
      const payload = frame.kind === 'input' ? frame.bytes : new Uint8Array();
      const { out, view } = allocate(11, payload, CODES[frame.kind]);
      view.setUint16(1, frame.terminal);
      view.setBigUint64(3, BigInt(frame.kind === 'drawn' ? frame.offset : frame.seq));
      return out;
    }
  }
}

/** Decodes one binary message; the payload shares the message's memory. */
export function decodeFrame(message: ArrayBuffer | Uint8Array): BrowserFrame {
  const bytes = message instanceof Uint8Array ? message : new Uint8Array(message);
  const kind = bytes[0];
  const min = kind === undefined ? undefined : MIN_BYTES[kind];
  if (kind === undefined || min === undefined) {
    throw new FrameError(`a message of kind ${kind ?? 'none'} is not of this protocol`);
  }
  if (bytes.length < min) {
    throw new FrameError(`a message of kind ${kind} needs ${min} bytes, found ${bytes.length}`);
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (kind === 0x11 || kind === 0x12) {
    const head = { flags: view.getUint8(1), terminal: view.getUint16(2), offset: number64(view, 4) };
    return kind === 0x11
      ? { kind: 'output', ...head, bytes: bytes.subarray(12) }
      : { kind: 'snapshot', ...head, cols: view.getUint16(12), rows: view.getUint16(14), screen: bytes.subarray(16) };
  }
  const terminal = view.getUint16(1);
  const number = number64(view, 3);
  if (kind === 0x13) return { kind: 'input', terminal, seq: number, bytes: bytes.subarray(11) };
  return kind === 0x14 ? { kind: 'input-ack', terminal, seq: number } : { kind: 'drawn', terminal, offset: number };
}

/** An unsigned 64-bit integer as a number; above 2^53 it would no longer be exact and is refused. */
export function number64(view: DataView, at: number): number {
  const value = view.getBigUint64(at);
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw new FrameError(`number ${value} is over 2^53`);
  return Number(value);
}

function allocate(header: number, payload: Uint8Array, kind: number) {
  const out = new Uint8Array(header + payload.length);
  out.set(payload, header);
  const view = new DataView(out.buffer);
  view.setUint8(0, kind);
  return { out, view };
}
