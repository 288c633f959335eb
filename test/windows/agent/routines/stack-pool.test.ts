import { beforeEach, expect, test } from 'vitest';

import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import { emitInternStack } from '../../../../src/agent/emit/recorder/stack-pool.ts';
import {
  header,
  MAXIMUM_FRAMES,
  STACK_INDEX_COUNT,
  STACK_INDEX_OFFSET,
  STACK_POOL_SIZE_BYTES,
  stackNode,
} from '../../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { placeRoutines } from './placed-routines.ts';

const PROBE_COUNT = 64;
const INDEX_SHIFT = 64n - BigInt(Math.log2(STACK_INDEX_COUNT));

const routines = placeRoutines({
  emit(asm, { environment, walk }) {
    emitInternStack(asm, walk.internStack, environment);
    return { internStack: walk.internStack };
  },
});
const { memory, layout } = routines;
let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
});

const framesOf = (seed: number, count: number) =>
  Array.from({ length: count }, (_, index) => 0x7ff0_0000_0000n + BigInt(seed * 64 + index));

/** Writes frames to the data, and returns the registers of a call that interns them. */
function internCall(hash: bigint, frames: readonly bigint[], offset = 0) {
  frames.forEach((frame, index) => routines.data.setBigUint64(offset + index * 8, frame, true));
  // A routine that reads on finds this.
  routines.data.setBigUint64(offset + frames.length * 8, 0xbad_bad_badn, true);
  return { rcx: routines.dataAddress + BigInt(offset), rdx: BigInt(frames.length), r8: hash };
}

const intern = (hash: bigint, frames: readonly bigint[]) => {
  const { rax } = routines.call('internStack', internCall(hash, frames));
  return Number(rax);
};
const poolUsed = () => memory.getBigUint64(header.stackPoolUsed, true);
const indexEntry = (position: number) => memory.getUint32(STACK_INDEX_OFFSET + position * 4, true);
const setIndexEntry = (position: number, id: number) => memory.setUint32(STACK_INDEX_OFFSET + position * 4, id, true);
const hashAt = (position: number, low = 1n) => (BigInt(position) << INDEX_SHIFT) | low;

test.each([1, 2, 5, MAXIMUM_FRAMES])(
  'a new stack of %i frames is a node of the pool, which the index shows',
  (count) => {
    const frames = framesOf(1, count);
    expect(intern(hashAt(1234, 0x3fff_ffff_ffffn), frames)).toBe(1);
    expect(ledger.stack(1)).toEqual(frames);
    expect(ledger.closedBy(1)).toBe(0);
    expect(memory.getBigUint64(layout.stackPoolOffset + 8 + stackNode.hash, true)).toBe(
      hashAt(1234, 0x3fff_ffff_ffffn),
    );
    expect(indexEntry(1234)).toBe(1);
    expect(poolUsed()).toBe(BigInt(8 + stackNode.frames + count * 8));
  },
);

test('a node keeps the type that its stack opened, which is no part of its length', () => {
  const frames = framesOf(1, 3);
  const call = internCall(hashAt(7), frames);
  const { rax } = routines.call('internStack', { ...call, rdx: call.rdx | BigInt(typeIndex('Key') << 16) });
  expect(ledger.stack(Number(rax))).toEqual(frames);
  expect(ledger.typeOpenedBy(Number(rax))).toBe('Key');
  expect(poolUsed()).toBe(BigInt(8 + stackNode.frames + 3 * 8));
});

test('the same stack again has the same id, and takes no more room', () => {
  const id = intern(hashAt(7), framesOf(1, 3));
  const used = poolUsed();
  expect(intern(hashAt(7), framesOf(1, 3))).toBe(id);
  expect(poolUsed()).toBe(used);
});

test('the next stack lies right behind the first', () => {
  expect([intern(hashAt(7), framesOf(1, 3)), intern(hashAt(8), framesOf(2, 4))]).toEqual([1, 1 + 2 + 3]);
  expect([ledger.stack(1), ledger.stack(6)]).toEqual([framesOf(1, 3), framesOf(2, 4)]);
});

test.each([
  ['in the middle', 7, 8],
  ['at its end, where it goes on at the beginning', STACK_INDEX_COUNT - 1, 0],
])('two stacks whose hashes begin alike stand side by side in the index: %s', (_where, position, next) => {
  const ids = [intern(hashAt(position, 1n), framesOf(1, 2)), intern(hashAt(position, 2n), framesOf(2, 2))];
  expect([indexEntry(position), indexEntry(next)]).toEqual(ids);
  expect(new Set(ids).size).toBe(2);
  expect([intern(hashAt(position, 1n), framesOf(1, 2)), intern(hashAt(position, 2n), framesOf(2, 2))]).toEqual(ids);
});

test.each([
  [PROBE_COUNT - 1, 5, 0],
  [PROBE_COUNT, 0, 1],
])('behind %i entries of others a stack gets the id %i; %i stacks are counted as dropped', (others, id, dropped) => {
  expect(intern(hashAt(5000), framesOf(1, 2))).toBe(1);
  for (let position = 7; position < 7 + others; position++) setIndexEntry(position, 1);
  expect(intern(hashAt(7), framesOf(2, 2))).toBe(id);
  expect(ledger.counter('droppedStacks')).toBe(dropped);
  expect(ledger.stack(id)).toEqual(id === 0 ? [] : framesOf(2, 2));
});

const LAST_OFFSET = STACK_POOL_SIZE_BYTES - stackNode.frames - MAXIMUM_FRAMES * 8;

test.each<[what: string, used: number, id: number]>([
  ['the last node that fits is written', LAST_OFFSET, LAST_OFFSET / 8],
  ['one node more is dropped', LAST_OFFSET + 8, 0],
  ['a pool that was overrun stays full', STACK_POOL_SIZE_BYTES * 2, 0],
])('a full pool: %s', (_what, used, id) => {
  memory.setBigUint64(header.stackPoolUsed, BigInt(used), true);
  const frames = framesOf(1, MAXIMUM_FRAMES);
  expect(intern(hashAt(7), frames)).toBe(id);
  expect(ledger.counter('droppedStacks')).toBe(id === 0 ? 1 : 0);
  expect(indexEntry(7)).toBe(id);
  expect(ledger.stack(id)).toEqual(id === 0 ? [] : frames);
  // The last node ends where the pool does: what comes next is not its own.
  expect(memory.getBigUint64(layout.stackPoolOffset + STACK_POOL_SIZE_BYTES, true)).toBe(0n);
  memory.setUint32(layout.stackPoolOffset + LAST_OFFSET + stackNode.frameCount, 0, true);
});

test('a full pool still finds the stacks that it has', () => {
  const id = intern(hashAt(7), framesOf(1, 3));
  memory.setBigUint64(header.stackPoolUsed, BigInt(STACK_POOL_SIZE_BYTES), true);
  expect(intern(hashAt(7), framesOf(1, 3))).toBe(id);
  expect(ledger.counter('droppedStacks')).toBe(0);
});

const STACK_COUNT = 4000;
const FRAME_COUNT = 3;

test('two threads that enter the same stacks at once get the same ids', () => {
  // Hashes in pairs that begin alike: the threads also meet at the second entry.
  const calls = Array.from({ length: STACK_COUNT }, (_, index) =>
    internCall(hashAt((index >> 1) * 3, BigInt(1 + (index & 1))), framesOf(index, FRAME_COUNT), index * 64),
  );
  const list = { routine: 'internStack', calls } as const;
  const [first, second] = routines.callAtOnce(list, list).map(({ after }) => after.map(({ rax }) => Number(rax)));
  expect(first).toEqual(second);
  expect(new Set(first).size).toBe(STACK_COUNT);
  first!.forEach((id, index) => expect(ledger.stack(id)).toEqual(framesOf(index, FRAME_COUNT)));
  expect(ledger.counter('droppedStacks')).toBe(0);
});

test('two threads that enter different stacks at once get different ids', () => {
  const list = (thread: number) => ({
    routine: 'internStack' as const,
    calls: Array.from({ length: STACK_COUNT }, (_, index) => {
      const seed = thread * STACK_COUNT + index;
      return internCall(hashAt(index * 2, BigInt(1 + thread)), framesOf(seed, FRAME_COUNT), seed * 64);
    }),
  });
  const ids = routines.callAtOnce(list(0), list(1)).flatMap(({ after }) => after.map(({ rax }) => Number(rax)));
  ids.forEach((id, seed) => expect(ledger.stack(id)).toEqual(framesOf(seed, FRAME_COUNT)));
  expect(poolUsed()).toBeGreaterThanOrEqual(BigInt(8 + 2 * STACK_COUNT * (stackNode.frames + FRAME_COUNT * 8)));
});
