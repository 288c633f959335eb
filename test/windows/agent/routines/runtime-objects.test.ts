import { beforeEach, describe, expect, test } from 'vitest';

import { recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { typeIndex } from '../../../../src/agent/tables/object-types.ts';
import {
  emitClaimRuntimeObject,
  emitCloseRuntimeObject,
  emitFindRuntimeObject,
  emitOpenRuntimeObject,
} from '../../../../src/agent/emit/recorder/runtime-objects.ts';
import { HASH_MULTIPLIER } from '../../../../src/agent/emit/walk/stack-hash.ts';
import { slot, stackNode } from '../../../../src/agent/ledger/layout.ts';
import {
  DESCRIPTOR_KEY,
  RUNTIME_OBJECT_COUNT,
  RUNTIME_OBJECT_HASH_BITS,
  RUNTIME_OBJECT_PROBE_COUNT,
  RUNTIME_OBJECT_SIZE_BYTES,
  runtimeObject,
} from '../../../../src/agent/ledger/runtime-object.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import { placeRoutines } from './placed-routines.ts';

const VALUE = 0x1a4n;
const FILE_ADDRESS = 0x2283_0625_0a10n;
const rowNumber = (name: string) => recordedCalls.findIndex((row) => row.name === name) + 1;
const FOPEN = BigInt(rowNumber('fopen') | (typeIndex('FILE') << 16));
const FCLOSE = BigInt(rowNumber('fclose'));
const [OPEN, CLOSED] = [3n, 2n];

const routines = placeRoutines({
  emit(asm, { environment }) {
    emitFindRuntimeObject(asm, environment.findRuntimeObject, environment);
    emitClaimRuntimeObject(asm, environment.claimRuntimeObject, environment);
    emitOpenRuntimeObject(asm, environment.openRuntimeObject, environment);
    emitCloseRuntimeObject(asm, environment.closeRuntimeObject, environment);
    const { findRuntimeObject, claimRuntimeObject, openRuntimeObject, closeRuntimeObject } = environment;
    return { findRuntimeObject, claimRuntimeObject, openRuntimeObject, closeRuntimeObject };
  },
});
const { memory, layout } = routines;
let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
});

const offsetOf = (index: number) => layout.runtimeObjectsOffset + index * RUNTIME_OBJECT_SIZE_BYTES;
const addressOf = (index: number) => routines.ledgerAddress + BigInt(offsetOf(index));
/** The index of an entry by its address; undefined for NULL. */
const indexOf = (address: bigint) =>
  address === 0n
    ? undefined
    : Number(address - routines.ledgerAddress - BigInt(layout.runtimeObjectsOffset)) / RUNTIME_OBJECT_SIZE_BYTES;
const find = (key: bigint) => indexOf(routines.call('findRuntimeObject', { rax: key }).r10);
const claim = (key: bigint) => indexOf(routines.call('claimRuntimeObject', { rcx: key }).r10);
const setState = (index: number, state: bigint) =>
  memory.setBigUint64(offsetOf(index) + runtimeObject.life + slot.state, state, true);
const state = (index: number) => memory.getBigUint64(offsetOf(index) + runtimeObject.life + slot.state, true);
const setKey = (index: number, key: bigint) => memory.setBigUint64(offsetOf(index) + runtimeObject.key, key, true);
const key = (index: number) => memory.getBigUint64(offsetOf(index) + runtimeObject.key, true);

describe('a key', () => {
  test.each([1n, FILE_ADDRESS, DESCRIPTOR_KEY, DESCRIPTOR_KEY | 0xffff_ffffn, 0xffff_ffff_ffff_ffffn])(
    'that was never seen is not found, and gets one entry for good: %s',
    (name) => {
      expect(find(name)).toBeUndefined();
      const index = claim(name)!;
      expect(key(index)).toBe(name);
      expect(index).toBeGreaterThanOrEqual(0);
      expect(index).toBeLessThan(RUNTIME_OBJECT_COUNT);
      expect([claim(name), find(name)]).toEqual([index, index]);
    },
  );

  test('is found without a change of any register but two', () => {
    claim(FILE_ADDRESS);
    const before = { rax: FILE_ADDRESS, rcx: 1n, rdx: 2n, r8: 3n, r9: 4n };
    for (const name of [FILE_ADDRESS, FILE_ADDRESS + 8n])
      expect(routines.call('findRuntimeObject', { ...before, rax: name })).toMatchObject({ ...before, rax: name });
  });

  test('whose entry another key has gets the next one', () => {
    const first = claim(FILE_ADDRESS)!;
    setKey(first, 1n);
    expect(claim(FILE_ADDRESS)).toBe(first + 1);
    expect(find(FILE_ADDRESS)).toBe(first + 1);
  });

  /** Gives all entries but the last `free` that the key may have to others. */
  const crowd = (free: number, others: bigint): number => {
    const first = claim(FILE_ADDRESS)!;
    ledger = routines.reset();
    for (let index = first; index < first + RUNTIME_OBJECT_PROBE_COUNT - free; index++) {
      setKey(index, 1n);
      setState(index, others);
    }
    return first;
  };
  const last = RUNTIME_OBJECT_PROBE_COUNT - 1;

  test('gets the last of the entries that it may have', () => {
    const first = crowd(1, OPEN);
    expect([claim(FILE_ADDRESS), find(FILE_ADDRESS)]).toEqual([first + last, first + last]);
    expect(ledger.counter('droppedRuntimeObjects')).toBe(0);
  });

  test('gets none behind them, and is counted', () => {
    const first = crowd(0, OPEN);
    expect(claim(FILE_ADDRESS)).toBeUndefined();
    expect(ledger.counter('droppedRuntimeObjects')).toBe(1);
    expect(key(first + RUNTIME_OBJECT_PROBE_COUNT)).toBe(0n);
    setKey(first + RUNTIME_OBJECT_PROBE_COUNT, FILE_ADDRESS);
    expect(find(FILE_ADDRESS)).toBeUndefined();
  });

  test.each([0, 5, last])('takes the entry of a closed object, and its life begins anew: number %i', (closed) => {
    const first = crowd(0, OPEN);
    setState(first + closed, CLOSED);
    expect(claim(FILE_ADDRESS)).toBe(first + closed);
    expect([key(first + closed), state(first + closed)]).toEqual([FILE_ADDRESS, 0n]);
    expect(ledger.counter('droppedRuntimeObjects')).toBe(0);
  });

  test('does not take an entry that another thread has just claimed', () => {
    crowd(0, 0n);
    expect(claim(FILE_ADDRESS)).toBeUndefined();
  });
});

test('two threads that claim the same keys at once get the same entries', () => {
  // Neighbours of one another: heaps give such addresses.
  const calls = Array.from({ length: 3000 }, (_, index) => ({ rcx: FILE_ADDRESS + BigInt(index * 16) }));
  const list = { routine: 'claimRuntimeObject', calls } as const;
  const [first, second] = routines.callAtOnce(list, list).map(({ after }) => after.map(({ r10 }) => indexOf(r10)));
  expect(first).toEqual(second);
  expect(new Set(first).size).toBe(calls.length);
  first!.forEach((index, call) => expect(key(index!)).toBe(calls[call]!.rcx));
});

test('two threads that want the same entry for different keys at once get two', () => {
  const byHash = new Map<bigint, bigint[]>();
  for (let name = FILE_ADDRESS; name < FILE_ADDRESS + 320_000n; name += 16n) {
    const hash = BigInt.asUintN(64, name * HASH_MULTIPLIER) >> BigInt(64 - RUNTIME_OBJECT_HASH_BITS);
    byHash.set(hash, [...(byHash.get(hash) ?? []), name]);
  }
  const pairs = [...byHash.values()].filter((names) => names.length > 1).slice(0, 1600);
  expect(pairs).toHaveLength(1600);
  const list = (thread: number) => ({
    routine: 'claimRuntimeObject' as const,
    calls: pairs.map((names) => ({ rcx: names[thread]! })),
  });
  const claimed = routines.callAtOnce(list(0), list(1)).map(({ after }) => after.map(({ r10 }) => key(indexOf(r10)!)));
  expect(claimed).toEqual([pairs.map(([one]) => one), pairs.map(([, other]) => other)]);
});

describe('an opening', () => {
  const open = (index: number, handle: bigint, stack = 2n) =>
    routines.call('openRuntimeObject', { rcx: addressOf(index), rdx: FOPEN, r8: stack, r9: handle });
  const handleSlot = (field: keyof typeof slot) => memory.getUint32(routines.slotOffset(VALUE) + slot[field], true);
  const setHandleState = (value: bigint) => memory.setBigUint64(routines.slotOffset(VALUE) + slot.state, value, true);

  test.each([
    ['its first', 0n, 1n],
    ['its next', CLOSED, 2n],
  ])('begins %s life, and names the handle beneath', (_which, before, generation) => {
    const index = claim(FILE_ADDRESS)!;
    setState(index, before);
    memory.setUint32(offsetOf(index) + runtimeObject.descriptor, 77, true);
    setHandleState(OPEN);
    const { threadId } = open(index, VALUE);
    expect(state(index)).toBe((generation << 1n) | 1n);
    expect(memory.getUint32(offsetOf(index) + slot.openedStack, true)).toBe(2);
    expect(memory.getUint32(offsetOf(index) + slot.openedThread, true)).toBe(threadId);
    expect(memory.getUint16(offsetOf(index) + slot.openedCall, true)).toBe(rowNumber('fopen'));
    expect(memory.getUint32(offsetOf(index) + runtimeObject.descriptor, true)).toBe(0);
    expect(ledger.wrapperOf(VALUE)).toEqual({ type: 'FILE', value: FILE_ADDRESS });
  });

  test('gives no name to a handle that another thread has closed', () => {
    const index = claim(FILE_ADDRESS)!;
    setHandleState(CLOSED);
    open(index, VALUE);
    expect(handleSlot('runtimeObject')).toBe(0);
    expect(state(index)).toBe(OPEN);
  });

  test.each([0n, -1n, 4096n, 0xffff_fffcn])('works without a slot of its handle: %s', (handle) => {
    const index = claim(FILE_ADDRESS)!;
    for (const value of [0n, VALUE]) memory.setBigUint64(routines.slotOffset(value) + slot.state, OPEN, true);
    open(index, handle);
    expect(state(index)).toBe(OPEN);
    expect(memory.getBigInt64(offsetOf(index) + runtimeObject.handle, true)).toBe(handle);
    expect(handleSlot('runtimeObject')).toBe(0);
    expect(memory.getUint32(routines.slotOffset(0n) + slot.runtimeObject, true)).toBe(0);
  });
});

describe('a close', () => {
  const close = (index: number, before: bigint) =>
    routines.call('closeRuntimeObject', { rcx: addressOf(index), rdx: before, r8: 50n, r9: FCLOSE });

  test('ends the life that was open before the call', () => {
    const index = claim(FILE_ADDRESS)!;
    setState(index, 9n);
    const { threadId } = close(index, 9n);
    expect(state(index)).toBe(8n);
    expect(memory.getUint32(offsetOf(index) + slot.closedStack, true)).toBe(50);
    expect(memory.getUint32(offsetOf(index) + slot.closedGeneration, true)).toBe(4);
    expect(memory.getUint32(offsetOf(index) + slot.closedThread, true)).toBe(threadId);
    expect(memory.getUint16(offsetOf(index) + slot.closedCall, true)).toBe(Number(FCLOSE));
  });

  test.each([
    ['PseudoConsole', 50],
    ['FILE', 0],
  ] as const)('of a %s: the stack that opened it learns of stack %i', (type, closedBy) => {
    const index = claim(FILE_ADDRESS)!;
    setState(index, 9n);
    memory.setUint32(offsetOf(index) + slot.openedStack, 2, true);
    memory.setUint32(offsetOf(index) + slot.openedGeneration, 4, true);
    memory.setUint16(offsetOf(index) + slot.objectType, typeIndex(type), true);
    close(index, 9n);
    expect(memory.getUint32(layout.stackPoolOffset + 2 * 8 + stackNode.closedBy, true)).toBe(closedBy);
  });

  test.each<[what: string, meanwhile: bigint]>([
    ['given out again', 11n],
    ['closed', 8n],
  ])('changes nothing when the object was %s meanwhile', (_what, meanwhile) => {
    const index = claim(FILE_ADDRESS)!;
    setState(index, meanwhile);
    const bytes = () => [...new Uint8Array(memory.buffer, offsetOf(index), RUNTIME_OBJECT_SIZE_BYTES)];
    const before = bytes();
    close(index, 9n);
    expect(bytes()).toEqual(before);
  });
});
