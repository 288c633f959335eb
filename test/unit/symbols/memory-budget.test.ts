import { expect, it } from 'vitest';

import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';

it('gives what is left, and nothing to who wants more', () => {
  const budget = new MemoryBudget(100);
  expect(budget.take(60)).toBe(true);
  expect(budget.take(41)).toBe(false);
  expect(budget.leftBytes).toBe(40);
  expect(() => budget.spend(41)).toThrow(RangeError);
  budget.spend(40);
  expect(budget.leftBytes).toBe(0);
  budget.giveBack(10);
  expect(budget.take(10)).toBe(true);
});

it.each([Number.NaN, Number.POSITIVE_INFINITY])('gives nothing for a size of %d', (sizeBytes) => {
  const budget = new MemoryBudget(100);
  expect(budget.take(sizeBytes)).toBe(false);
  expect(budget.leftBytes).toBe(100);
});
