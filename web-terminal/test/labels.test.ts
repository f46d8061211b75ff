import { expect, it } from 'vitest';
import { labelSize, READABLE_PX } from '../src/map/labels';

it('ports are written readably at the size that the map is shown in, where they have room', () => {
  for (const scale of [0.9, 1, 1.2]) expect(labelSize(scale, 200, 9) * scale).toBeCloseTo(READABLE_PX);
});

it('texts that share a line get smaller before they meet, down to what can be read at all', () => {
  const size = labelSize(0.9, 50, 9);
  expect(size).toBeLessThan(READABLE_PX / 0.9);
  expect(size * 0.6 * 9).toBeLessThanOrEqual(50);
  expect(labelSize(0.9, 20, 36)).toBe(8.5);
});

it('a map that is shown very small has no letters larger than its devices’ names', () => {
  expect(labelSize(0.2)).toBe(12);
});
