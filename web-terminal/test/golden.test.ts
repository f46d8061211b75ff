/** The bytes and messages both sides agreed on, kept beside the Rust that is held to them too. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { decodeFrame, encodeFrame, FrameError, type BrowserFrame } from '../src/protocol/browser';
import { JournalDecoder, type JournalEvent } from '../src/protocol/journal';
import type { FromBrowser, ToBrowser } from '../src/protocol/messages';

interface Entry {
  name: string;
  kind: 'browser-frame' | 'browser-json' | 'agent-frame' | 'agent-json' | 'journal';
  hex: string;
  json: { type: string };
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  fields: Record<string, any>;
}

const entries = JSON.parse(
  readFileSync(new URL('../../orchestrator/lab-core/tests/golden/messages.json', import.meta.url), 'utf8'),
) as Entry[];
const of = (kind: Entry['kind']) => entries.filter((entry) => entry.kind === kind);

const fromHex = (hex: string) => new Uint8Array((hex.match(/../g) ?? []).map((byte) => parseInt(byte, 16)));
const toHex = (bytes: Uint8Array) => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
const inexact = (fields: Entry['fields']) =>
  ['offset', 'seq', 'time_us'].some((key) => fields[key] !== undefined && BigInt(fields[key]) > BigInt(Number.MAX_SAFE_INTEGER));

describe('binary frames', () => {
  it.each(of('browser-frame').filter((entry) => !inexact(entry.fields)))('$name', ({ hex, fields }) => {
    const frame = decodeFrame(fromHex(hex));
    expect(flat(frame)).toEqual(fields);
    expect(toHex(encodeFrame(frame))).toBe(hex);
  });

  it.each(of('browser-frame').filter((entry) => inexact(entry.fields)))('$name: refused, not rounded', ({ hex }) => {
    expect(() => decodeFrame(fromHex(hex))).toThrow(FrameError);
  });

  it('of every form are in the fixtures', () => {
    expect(new Set(of('browser-frame').map(({ fields }) => fields['type']))).toEqual(
      new Set(['output', 'snapshot', 'input', 'input-ack', 'drawn']),
    );
  });

  it.each(['', '10', '11', '110000', '1400000000000000'])('refuses %j', (hex) => {
    expect(() => decodeFrame(fromHex(hex))).toThrow(FrameError);
  });
});

describe('journal records', () => {
  it.each(of('journal').filter((entry) => !inexact(entry.fields)))('$name', ({ hex, fields }) => {
    const [record] = new JournalDecoder().push(fromHex(hex));
    expect({ terminal: record!.terminal, time_us: String(record!.time_us), offset: String(record!.offset) }).toEqual({
      terminal: fields['terminal'],
      time_us: fields['time_us'],
      offset: fields['offset'],
    });
    expect(eventFields(record!.event)).toEqual(expectedEvent(fields));
  });

  it('are the same whatever the pieces they arrive in', () => {
    const all = of('journal').filter((entry) => !inexact(entry.fields)).map((entry) => fromHex(entry.hex));
    const bytes = Uint8Array.from(all.flatMap((record) => [...record]));
    const whole = new JournalDecoder().push(bytes);
    expect(whole).toHaveLength(all.length);
    for (let cut = 0; cut <= bytes.length; cut++) {
      const decoder = new JournalDecoder(100);
      expect([...decoder.push(bytes.slice(0, cut)), ...decoder.push(bytes.slice(cut))]).toEqual(whole);
      expect(decoder.offset).toBe(100 + bytes.length);
    }
  });

  it('with a changed bit are refused', () => {
    const bytes = fromHex(of('journal')[0]!.hex);
    bytes[bytes.length - 1]! ^= 1;
    expect(() => new JournalDecoder(7).push(bytes)).toThrow('journal offset 7: checksum');
  });
});

/** What this page may say, written with the page's own types: the compiler holds them to the fixtures' shape. */
const requests: Record<string, FromBrowser> = {
  'attach from an offset': { type: 'attach', terminal: 0, from: 4096, seat: true, cols: 120, rows: 40 },
  'attach afresh': { type: 'attach', terminal: 1, from: null, seat: false, cols: 80, rows: 24 },
  detach: { type: 'detach', terminal: 1 },
  'resize asked': { type: 'resize', terminal: 0, cols: 132, rows: 43 },
  'seat taken': { type: 'seat', terminal: 0, take: true },
  restart: { type: 'restart', terminal: 0 },
  'check one': { type: 'check', check: 'ospf-up' },
  'check all': { type: 'check', check: null },
  marker: { type: 'marker', terminal: 0, label: 'à revoir' },
  ping: { type: 'ping', t: 1234 },
};

/** The members of what the page hears that it relies on, by type. */
const heard: { [T in ToBrowser['type']]: readonly (keyof Extract<ToBrowser, { type: T }>)[] } = {
  session: ['session', 'state', 'reason', 'detail', 'steps', 'queue', 'waiting', 'away'],
  terminals: ['terminals'],
  resize: ['terminal', 'cols', 'rows', 'offset'],
  command: ['terminal', 'command', 'at_us'],
  exit: ['terminal', 'status'],
  seat: ['terminal', 'seat'],
  checks: ['outcomes', 'running'],
  viewers: ['viewers'],
  time: ['left_s', 'limit', 'warn', 'used_s', 'budget_s', 'spent_percent', 'extendable'],
  error: ['code', 'message'],
  pong: ['t'],
  'go-away': ['after_ms'],
};

describe('JSON messages', () => {
  it.each(of('browser-json').filter(({ fields }) => fields['from'] === 'browser'))('said: $name', ({ name, json }) => {
    expect(requests[name]).toEqual(json);
  });

  it.each(of('browser-json').filter(({ fields }) => fields['from'] === 'orchestrator'))('heard: $name', ({ json }) => {
    const members = heard[json.type as ToBrowser['type']] as readonly string[] | undefined;
    expect(Object.keys(json).sort()).toEqual(['type', ...(members ?? [])].sort());
  });
});

function flat(frame: BrowserFrame): Record<string, unknown> {
  const { kind, ...rest } = frame;
  const fields: Record<string, unknown> = { type: kind };
  for (const [key, value] of Object.entries(rest)) {
    if (value instanceof Uint8Array) fields['bytes'] = toHex(value);
    else fields[key] = key === 'offset' || key === 'seq' ? String(value) : value;
  }
  return fields;
}

function eventFields(event: JournalEvent): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(event)) {
    if (value instanceof Uint8Array) fields['bytes'] = toHex(value);
    else if (typeof value === 'object') Object.assign(fields, { value });
    else fields[key] = value;
  }
  return fields;
}

function expectedEvent(fields: Entry['fields']): Record<string, unknown> {
  const { kind, terminal: _terminal, time_us: _time, offset: _offset, type, value, ...rest } = fields;
  if (type === 'unknown') return { ...rest, kind: 'unknown', code: kind };
  if (value === undefined) return { ...rest, kind: type };
  // Small JSON payloads are spread into the event, larger ones kept as they are.
  return ['marker', 'seat', 'join'].includes(type) ? { ...value, kind: type } : { kind: type, value };
}
