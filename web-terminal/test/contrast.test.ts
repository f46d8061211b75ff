/** The tokens' promise: text is readable on what it stands on. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';

const css = readFileSync(new URL('../src/ui/tokens.css', import.meta.url), 'utf8');

function tokens(selector: string): Record<string, string> {
  const block = css.slice(css.indexOf(`${selector} {`)).split('}')[0]!;
  return Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map(([, name, value]) => [name!, value!]));
}

/** WCAG 2.2 relative luminance and contrast ratio. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
}

function contrast(a: string, b: string): number {
  const [light, dark] = [luminance(a), luminance(b)].sort((x, y) => y - x);
  return (light! + 0.05) / (dark! + 0.05);
}

const light = tokens(':root');
const themes: [string, Record<string, string>, number][] = [
  ['light', light, 4.5],
  ['dark', { ...light, ...tokens(":root[data-theme='dark']") }, 4.5],
  ['contrast', { ...light, ...tokens(":root[data-theme='contrast']") }, 7],
];
const pairs = [
  ...['text', 'text-2'].flatMap((ink) => ['bg', 'surface', 'surface-2'].map((paper) => [ink, paper])),
  ...['accent', 'good', 'warn', 'bad'].flatMap((ink) => ['surface', `${ink}-soft`].map((paper) => [ink, paper])),
  ['accent-ink', 'accent'],
  ['surface', 'bad'],
  ['term-fg', 'term-bg'],
] as [string, string][];

it.each(themes.flatMap(([theme, values, least]) => pairs.map(([ink, paper]) => ({ theme, ink, paper, values, least }))))(
  '$theme: $ink on $paper',
  ({ values, ink, paper, least }) => {
    expect(contrast(values[ink]!, values[paper]!)).toBeGreaterThanOrEqual(least);
  },
);
