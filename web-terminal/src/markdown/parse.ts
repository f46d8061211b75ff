/**
 * The Markdown of lab instructions, as a tree that components draw. There is no HTML anywhere on the way, so nothing an
 * author (or whoever changed a lab file) writes can become markup.
 */
export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'code'; text: string }
  | { kind: 'strong' | 'em'; parts: Inline[] }
  | { kind: 'link'; href: string; parts: Inline[] }
  | { kind: 'break' };

export type Block =
  | { kind: 'heading'; level: number; parts: Inline[] }
  | { kind: 'paragraph'; parts: Inline[] }
  | { kind: 'code'; language: string; text: string }
  | { kind: 'list'; ordered: boolean; start: number; items: Block[][] }
  | { kind: 'quote'; blocks: Block[] }
  | { kind: 'table'; head: Inline[][]; rows: Inline[][][] }
  | { kind: 'rule' };

const FENCE = /^ {0,3}(```+|~~~+)\s*(\S*)/;
const HEADING = /^ {0,3}(#{1,6})\s+(.*?)\s*#*$/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])\s+(.*)$/;
const RULE = /^ {0,3}([-*_])(?:\s*\1){2,}\s*$/;
const TABLE_RULE = /^\s*\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?\s*$/;

export function parse(text: string): Block[] {
  return blocks(text.replace(/\r\n?/g, '\n').split('\n'));
}

function blocks(lines: string[]): Block[] {
  const out: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    if (lines[at]!.trim() === '') {
      at++;
      continue;
    }
    const [block, next] = fence(lines, at) ?? single(lines, at) ?? quote(lines, at) ?? list(lines, at) ?? table(lines, at) ?? paragraph(lines, at);
    out.push(block);
    at = next;
  }
  return out;
}

type Read = [Block, number];

function fence(lines: string[], at: number): Read | null {
  const open = FENCE.exec(lines[at]!);
  if (!open) return null;
  let end = at + 1;
  while (end < lines.length && !lines[end]!.trim().startsWith(open[1]!)) end++;
  return [{ kind: 'code', language: open[2] ?? '', text: lines.slice(at + 1, end).join('\n') }, end + 1];
}

function single(lines: string[], at: number): Read | null {
  const heading = HEADING.exec(lines[at]!);
  if (heading) return [{ kind: 'heading', level: heading[1]!.length, parts: inline(heading[2]!) }, at + 1];
  return RULE.test(lines[at]!) ? [{ kind: 'rule' }, at + 1] : null;
}

function quote(lines: string[], at: number): Read | null {
  let end = at;
  while (end < lines.length && /^ {0,3}>/.test(lines[end]!)) end++;
  if (end === at) return null;
  return [{ kind: 'quote', blocks: blocks(lines.slice(at, end).map((line) => line.replace(/^ {0,3}> ?/, ''))) }, end];
}

function list(lines: string[], at: number): Read | null {
  const first = ITEM.exec(lines[at]!);
  if (!first) return null;
  const indent = first[1]!.length;
  const ordered = /\d/.test(first[2]!);
  const items: string[][] = [];
  let end = at;
  while (end < lines.length) {
    const line = lines[end]!;
    const item = ITEM.exec(line);
    if (item && item[1]!.length <= indent + 1 && /\d/.test(item[2]!) === ordered && !RULE.test(line)) items.push([item[3]!]);
    else if (line.trim() === '' ? /^\s+\S|^\s*([-*+]|\d+[.)])\s/.test(lines[end + 1] ?? '') : /^\s/.test(line)) {
      // What is deeper belongs to the item: its text starts where the item's text does.
      items.at(-1)!.push(line.slice(Math.min(indent + first[2]!.length + 1, line.length - line.trimStart().length)));
    } else break;
    end++;
  }
  return [{ kind: 'list', ordered, start: ordered ? parseInt(first[2]!, 10) : 1, items: items.map(blocks) }, end];
}

function table(lines: string[], at: number): Read | null {
  if (!lines[at]!.includes('|') || !TABLE_RULE.test(lines[at + 1] ?? '') || !lines[at + 1]!.includes('-')) return null;
  let end = at + 2;
  while (end < lines.length && lines[end]!.includes('|')) end++;
  const cells = (line: string) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => inline(cell.trim()));
  return [{ kind: 'table', head: cells(lines[at]!), rows: lines.slice(at + 2, end).map(cells) }, end];
}

function paragraph(lines: string[], at: number): Read {
  let end = at + 1;
  while (end < lines.length && lines[end]!.trim() !== '' && !FENCE.test(lines[end]!) && !HEADING.test(lines[end]!) && !ITEM.test(lines[end]!) && !/^ {0,3}>/.test(lines[end]!)) end++;
  return [{ kind: 'paragraph', parts: inline(lines.slice(at, end).map((line) => line.trimStart()).join('\n')) }, end];
}

const INLINE = [
  /^`([^`]+)`/,
  /^``(.+?)``/,
  /^\*\*(?=\S)([\s\S]*?\S)\*\*(?!\*)/,
  /^__(?=\S)([\s\S]*?\S)__/,
  /^\*(?=[^\s*])([\s\S]*?[^\s*])\*(?!\*)/,
  /^_(?=[^\s_])([^_]*[^\s_])_(?![A-Za-z0-9])/,
  /^\[([^\]]*)\]\(([^\s)]+)\)/,
  /^<(https?:\/\/[^\s>]+)>/,
  /^(?: {2,}|\\)\n/,
  /^\\([\\`*_[\]<>#|-])/,
] as const;

/** Inline parts of one run of text. */
export function inline(text: string): Inline[] {
  const out: Inline[] = [];
  let plain = '';
  const flush = () => {
    if (plain) out.push({ kind: 'text', text: plain });
    plain = '';
  };
  for (let at = 0; at < text.length; ) {
    const rest = text.slice(at);
    const which = /[`*_[<\\ ]/.test(rest[0]!) ? INLINE.findIndex((pattern) => pattern.test(rest)) : -1;
    // An underscore inside a word (router_1) is an underscore.
    const inWord = rest[0] === '_' && /[A-Za-z0-9]/.test(text[at - 1] ?? '');
    const found = which < 0 || inWord ? null : INLINE[which]!.exec(rest)!;
    if (!found) {
      plain += rest[0];
      at++;
      continue;
    }
    at += found[0].length;
    const part = which === 9 ? null : inlinePart(which, found);
    if (part) {
      flush();
      out.push(part);
    } else plain += found[1] ?? '';
  }
  flush();
  return out;
}

function inlinePart(which: number, found: RegExpExecArray): Inline | null {
  const body = found[1] ?? '';
  if (which <= 1) return { kind: 'code', text: body.trim() };
  if (which <= 3) return { kind: 'strong', parts: inline(body) };
  if (which <= 5) return { kind: 'em', parts: inline(body) };
  if (which === 8) return { kind: 'break' };
  const href = which === 6 ? found[2]! : body;
  // Only the web: javascript:, data: and relative addresses stay what they are, text.
  if (!/^https?:\/\//i.test(href)) return null;
  return { kind: 'link', href, parts: which === 6 ? inline(body) : [{ kind: 'text', text: body }] };
}
