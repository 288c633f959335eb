import { expect, it } from 'vitest';

import { lastAtOrBelow } from '../../../src/symbols/sorted-search.ts';

it.each<[values: readonly number[], limit: number, expected: number]>([
  [[], 5, -1],
  [[6], 5, -1],
  [[5], 5, 0],
  [[1, 3, 5, 7], 4, 1],
  [[1, 3, 5, 7], 0, -1],
  [[1, 3, 5, 7], 9, 3],
  [[1, 3, 3, 3, 7], 3, 3],
])('the last of %j at or below %i has the index %i', (values, limit, expected) => {
  expect(lastAtOrBelow(values.length, (index) => values[index]!, limit)).toBe(expected);
  expect(lastAtOrBelow(values.length, (index) => BigInt(values[index]!), BigInt(limit))).toBe(expected);
});
