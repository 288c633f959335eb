import { beforeEach, describe, expect, test } from 'vitest';

import { emitGrowSlots, emitGrowStackPool } from '../../../../src/agent/emit/recorder/grow-ledger.ts';
import { emitRecordClose, emitRecordOpen } from '../../../../src/agent/emit/recorder/recorder.ts';
import { emitInternStack } from '../../../../src/agent/emit/recorder/stack-pool.ts';
import { POOL_MUST_GROW } from '../../../../src/agent/emit/walk/capture-frame.ts';
import { header, STACK_POOL_SIZE_BYTES } from '../../../../src/agent/ledger/layout.ts';
import type { Ledger } from '../../../../src/agent/ledger/ledger.ts';
import {
  SLOT_CHUNK_COUNT,
  STACK_POOL_CHUNK_SIZE_BYTES,
  STACK_POOL_SPARE_BYTES,
} from '../../../../src/agent/ledger/memory-parts.ts';
import { placeRoutines } from './placed-routines.ts';

const SLOT_COUNT = 4 * SLOT_CHUNK_COUNT;
const ALL = 2n ** 64n - 1n;
const NO_MEMORY = { status: 0xc000_012d }; // STATUS_COMMITMENT_LIMIT
const CREATE_EVENT = 1n | (1n << 16n);

const valueOf = (index: number) => BigInt(index * 4);

const routines = placeRoutines({
  slotCount: SLOT_COUNT,
  ntdll: ['NtAllocateVirtualMemory'],
  emit(asm, { environment, walk }) {
    emitGrowSlots(asm, environment.growSlots, environment);
    emitGrowStackPool(asm, walk.growStackPool, environment);
    emitRecordOpen(asm, environment.recordOpen, environment);
    emitRecordClose(asm, environment.recordClose, environment);
    emitInternStack(asm, walk.internStack, environment);
    const { growSlots, recordOpen, recordClose } = environment;
    return { growSlots, recordOpen, recordClose, growStackPool: walk.growStackPool, internStack: walk.internStack };
  },
});
let ledger: Ledger;
beforeEach(() => {
  ledger = routines.reset();
  routines.setGrown('slotsCommitted', BigInt(SLOT_CHUNK_COUNT));
  routines.setGrown('stackPoolCommitted', BigInt(STACK_POOL_CHUNK_SIZE_BYTES));
  routines.setGrown('stackPoolGrowAt', BigInt(STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES));
  routines.script({ status: 0 });
});

describe('slots', () => {
  test.each([
    ['the first one beyond', SLOT_CHUNK_COUNT, 2 * SLOT_CHUNK_COUNT],
    ['the last one of the next chunk', 2 * SLOT_CHUNK_COUNT - 1, 2 * SLOT_CHUNK_COUNT],
    ['one far beyond', 3 * SLOT_CHUNK_COUNT + 7, 4 * SLOT_CHUNK_COUNT],
  ])('get memory up to the end of the chunk of %s', (_which, index, committed) => {
    expect(routines.call('growSlots', { rcx: BigInt(index) }).rax & 0xffff_ffffn).toBe(1n);
    expect(routines.grown('slotsCommitted')).toBe(BigInt(committed));
    expect(routines.faked().map(({ name }) => name)).toEqual(['NtAllocateVirtualMemory', 'NtAllocateVirtualMemory']);
  });

  test('that the ledger does not have get none', () => {
    expect(routines.call('growSlots', { rcx: BigInt(SLOT_COUNT) }).rax & 0xffff_ffffn).toBe(0n);
    expect(routines.faked()).toEqual([]);
  });

  test('of a value that was never seen are made by its opening and by its close', () => {
    routines.call('recordOpen', { rcx: valueOf(SLOT_CHUNK_COUNT + 1), rdx: CREATE_EVENT, r8: 2n });
    routines.call('recordClose', { rcx: valueOf(2 * SLOT_CHUNK_COUNT + 1), rdx: 0n, r8: 3n, r9: 1n });
    expect([...ledger.openValues()]).toEqual([valueOf(SLOT_CHUNK_COUNT + 1)]);
    expect(ledger.life(valueOf(2 * SLOT_CHUNK_COUNT + 1))?.closed?.stackId).toBe(3);
    expect(ledger.counter('beyondCapacity')).toBe(0);
  });

  test('for which Windows has no memory are counted, and asked for again the next time', () => {
    routines.script(NO_MEMORY);
    const open = () => routines.call('recordOpen', { rcx: valueOf(SLOT_CHUNK_COUNT), rdx: CREATE_EVENT, r8: 2n });
    open();
    expect(ledger.counter('beyondCapacity')).toBe(1);
    expect(routines.grown('slotsCommitted')).toBe(BigInt(SLOT_CHUNK_COUNT));
    routines.script({ status: 0 });
    open();
    expect([...ledger.openValues()]).toEqual([valueOf(SLOT_CHUNK_COUNT)]);
    expect(ledger.counter('beyondCapacity')).toBe(1);
  });

  test('are not asked for on behalf of a pseudo handle', () => {
    routines.call('recordClose', { rcx: ALL, rdx: 0n, r8: 3n, r9: 1n });
    expect(routines.faked()).toEqual([]);
    expect(ledger.counter('beyondCapacity')).toBe(0);
  });

  test('that two threads need at once are there for both', () => {
    const calls = (from: number) =>
      Array.from({ length: 500 }, (_, each) => ({ rcx: valueOf(from + each * 2), rdx: CREATE_EVENT, r8: 2n }));
    routines.callAtOnce(
      { routine: 'recordOpen', calls: calls(2 * SLOT_CHUNK_COUNT - 500) },
      { routine: 'recordOpen', calls: calls(2 * SLOT_CHUNK_COUNT - 499) },
    );
    expect([...ledger.openValues()].length).toBe(1000);
    expect(routines.grown('slotsCommitted')).toBe(BigInt(3 * SLOT_CHUNK_COUNT));
  });
});

describe('the stack pool', () => {
  const setUsed = (bytes: number) => routines.memory.setBigUint64(header.stackPoolUsed, BigInt(bytes), true);
  const intern = (hash: bigint) => {
    routines.data.setBigUint64(0, 0x7ff0_0000_0000n, true);
    return Number(routines.call('internStack', { rcx: routines.dataAddress, rdx: 1n, r8: hash }).rax & 0xffff_ffffn);
  };
  const grow = () => routines.call('growStackPool', {});

  test('must grow before its last bytes are used', () => {
    setUsed(STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES - 8);
    expect(intern(1n << 60n)).toBe((STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES - 8) / 8);
    expect(intern(2n << 60n)).toBe(POOL_MUST_GROW);
    grow();
    expect(routines.grown('stackPoolCommitted')).toBe(BigInt(2 * STACK_POOL_CHUNK_SIZE_BYTES));
    expect(intern(2n << 60n)).toBeGreaterThan(0);
    expect(ledger.counter('droppedStacks')).toBe(0);
  });

  test('finds a stack that it has without more memory', () => {
    const id = intern(1n << 60n);
    setUsed(STACK_POOL_CHUNK_SIZE_BYTES);
    expect(intern(1n << 60n)).toBe(id);
  });

  test('uses what is left when Windows has no more memory, and then drops stacks', () => {
    routines.script(NO_MEMORY);
    setUsed(STACK_POOL_CHUNK_SIZE_BYTES - STACK_POOL_SPARE_BYTES);
    grow();
    expect(intern(1n << 60n)).toBeGreaterThan(0);
    setUsed(STACK_POOL_CHUNK_SIZE_BYTES - 8);
    expect(intern(2n << 60n)).toBe(0);
    expect(ledger.counter('droppedStacks')).toBe(1);
  });

  test('ends at its whole size', () => {
    for (let chunk = 1; chunk <= STACK_POOL_SIZE_BYTES / STACK_POOL_CHUNK_SIZE_BYTES; chunk++) grow();
    expect(routines.grown('stackPoolCommitted')).toBe(BigInt(STACK_POOL_SIZE_BYTES));
    expect(routines.grown('stackPoolGrowAt')).toBe(ALL);
  });
});
