import { expect, test } from 'vitest';

import { GivenSearches } from '../../../src/evidence/given-searches.ts';

const stacks: Readonly<Record<number, readonly bigint[]>> = {
  1: [0x100n, 0x200n],
  2: [0x100n, 0x300n],
  // Windows' own frames come first.
  3: [0x9n, 0x8n, 0x100n, 0x200n],
  4: [0x9n, 0x100n],
  5: [0x9n, 0x400n, 0x200n],
};

function searches(...given: readonly number[]): GivenSearches {
  return new GivenSearches({ stack: (id) => stacks[id] ?? [], searchesGivenToWrongCloser: () => given });
}

const opened = (stackId: number) => ({ call: 'NtOpenFile', threadId: 1, time: 0n, stackId });

test.each([
  ['through the same callers', [1], 3, true],
  ['through other callers', [2], 3, false],
  ['by a stack whose far end was cut', [1], 4, true],
  ['from another place', [1], 5, false],
  ['while none was given away', [], 3, false],
  ['by a stack that is not known', [1], 7, false],
])('a handle that was opened %s: given %j, handle of stack %i: %s', (_, given, handle, isGiven) => {
  expect(searches(...given).take(opened(handle))).toBe(isGiven);
});

test('each search stands for one handle', () => {
  const two = searches(1, 1);
  expect([1, 2, 3].map(() => two.take(opened(3)))).toEqual([true, true, false]);
});

test('each stack is read once, however many searches it opened: the target waits', () => {
  const read: number[] = [];
  const stack = (id: number) => {
    read.push(id);
    return stacks[id] ?? [];
  };
  const many = new GivenSearches({ stack, searchesGivenToWrongCloser: () => [1, 2, 1, 2, 1] });
  expect(read).toEqual([1, 2]);
  expect([1, 2, 3, 4].map(() => many.take(opened(3)))).toEqual([true, true, true, false]);
});
