import fc from 'fast-check';
import { expect, it } from 'vitest';
import { inline, parse } from '../src/markdown/parse';

const text = (value: string) => ({ kind: 'text', text: value });

it('reads what instructions use', () => {
  const tree = parse('# Addresses\n\nGive `r1` its **address**:\n\n```\nconfigure terminal\n```\n\n1. first\n2. second\n   - deeper\n\n> careful\n\n---');
  expect(tree.map((block) => block.kind)).toEqual(['heading', 'paragraph', 'code', 'list', 'quote', 'rule']);
  expect(tree[1]).toEqual({
    kind: 'paragraph',
    parts: [text('Give '), { kind: 'code', text: 'r1' }, text(' its '), { kind: 'strong', parts: [text('address')] }, text(':')],
  });
  expect(tree[2]).toEqual({ kind: 'code', language: '', text: 'configure terminal' });
  const list = tree[3] as Extract<(typeof tree)[number], { kind: 'list' }>;
  expect(list.items.map((item) => item.map((block) => block.kind))).toEqual([['paragraph'], ['paragraph', 'list']]);
});

it('reads tables of addresses', () => {
  expect(parse('| port | address |\n|---|---|\n| eth0 | `10.0.0.1/24` |')).toEqual([
    { kind: 'table', head: [[text('port')], [text('address')]], rows: [[[text('eth0')], [{ kind: 'code', text: '10.0.0.1/24' }]]] },
  ]);
});

it('leaves names with underscores, and globs, alone', () => {
  expect(inline('ospf_area_0 and 2 * 3 * 4')).toEqual([text('ospf_area_0 and 2 * 3 * 4')]);
});

it.each(['javascript:alert(1)', 'data:text/html,x', '//evil.example', '/lab', 'JaVaScRiPt:alert(1)'])('makes no link of %s', (href) => {
  expect(JSON.stringify(parse(`[click](${href})`))).not.toContain('"link"');
});

it('keeps HTML as the text it is', () => {
  expect(inline('<img src=x onerror=alert(1)>')).toEqual([text('<img src=x onerror=alert(1)>')]);
});

it('ends, and loses no word, whatever the text', () => {
  const flat = (node: unknown): string => {
    if (typeof node === 'string') return node;
    if (Array.isArray(node)) return node.map(flat).join(' ');
    if (!node || typeof node !== 'object') return '';
    return Object.entries(node).map(([key, value]) => (key === 'kind' ? '' : flat(value))).join(' ');
  };
  // Not among them: what hides text by design, a fence's language and a refused link's address.
  const words = fc.array(fc.constantFrom('alpha', 'beta', '*', '**', '_', '`', '- ', '1. ', '> ', '#', '|', '|---|', '---', '\n', '\n\n', ' ', '[', ']', ')'), { maxLength: 40 });
  fc.assert(
    fc.property(words, (list) => flat(parse(list.join(''))).split('alpha').length === list.join('').split('alpha').length),
    { numRuns: 3000 },
  );
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (any) => Array.isArray(parse(any))), { numRuns: 1000 });
});
