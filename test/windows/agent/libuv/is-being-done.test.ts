import { afterEach, describe, expect, it } from 'vitest';

import { emitIsBeingDone } from '../../../../src/agent/emit/walk/is-being-done.ts';
import { placeRoutines } from '../routines/placed-routines.ts';

const WORK_AT = 0x1000;
const WORK_SIZE_BYTES = 40;

const routines = placeRoutines({
  realNtdll: ['NtQueryVirtualMemory'],
  emit(asm, { walk, environment }) {
    emitIsBeingDone(asm, walk.isBeingDone, environment);
    return { isBeingDone: walk.isBeingDone };
  },
});
const { data, dataAddress } = routines;

/** Writes a `struct uv__work` whose place in the queue leads to itself, unless said otherwise. */
function write(at: number, { work = 1n, next = 0n, previous = 0n } = {}): bigint {
  const address = dataAddress + BigInt(at);
  const own = address + 24n;
  [work, 2n, 3n, next || own, previous || own].forEach((value, index) =>
    data.setBigUint64(at + index * 8, value, true),
  );
  return address;
}

const isBeingDone = (work: bigint): boolean => routines.call('isBeingDone', { rcx: work }).rax === 1n;

afterEach(() => routines.reset());

describe('isBeingDone', () => {
  it.each([
    ['in the midst of memory', WORK_AT],
    ['at its end', data.byteLength - WORK_SIZE_BYTES],
  ])('knows a work that is in no queue, %s', (_, at) => {
    expect(isBeingDone(write(at))).toBe(true);
  });

  it.each([
    ['waits in a queue', { next: dataAddress, previous: dataAddress }],
    ['is the last of a queue', { next: dataAddress }],
    ['is the first of a queue', { previous: dataAddress }],
    ['is done', { work: 0n }],
  ])('knows a work that %s', (_, fields) => {
    expect(isBeingDone(write(WORK_AT, fields))).toBe(false);
  });

  it.each([
    ['that is not there', 0x10000n],
    ['of the kernel', 0xffff_8000_0000_0000n],
    ['that is only read', 0x7ffe_0000n], // KUSER_SHARED_DATA
    ['that ends within the work', dataAddress + BigInt(data.byteLength - WORK_SIZE_BYTES + 8)],
    ['at an odd place', dataAddress + 4n],
  ])('takes nothing for a work in memory %s', (_, address) => {
    expect(isBeingDone(address)).toBe(false);
  });
});
