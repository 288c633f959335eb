import { afterEach, describe, expect, it } from 'vitest';

import { emitWalkGoFrames } from '../../../../src/agent/emit/walk/walk-go-frames.ts';
import { MAXIMUM_FRAMES } from '../../../../src/agent/ledger/layout.ts';
import { placeRoutines } from './placed-routines.ts';

/** No code is there, and none is read: the walk compares addresses. */
const goCode = { begin: 0x7000_0000n, sizeBytes: 0x1000 };
const FRAMES_AT = 0x100;
/** Where the goroutine's stack begins in the memory of the test. */
const STACK_AT = 0x1000;

const routines = placeRoutines({
  realNtdll: ['NtQueryVirtualMemory'],
  goCode,
  emit(asm, { walk, environment }) {
    emitWalkGoFrames(asm, walk.walkGoFrames, environment);
    return { walkGoFrames: walk.walkGoFrames };
  },
});
const { data, dataAddress } = routines;

/** Writes a frame: the frame pointer of the caller, and the return address into the caller. */
function frame(at: number, callersFrame: bigint, returnAddress: bigint): void {
  data.setBigUint64(at, callersFrame, true);
  data.setBigUint64(at + 8, returnAddress, true);
}

/** The frames behind the one that the walk began with. */
function walk(framePointer: bigint, count = 1): readonly bigint[] {
  data.setBigUint64(FRAMES_AT, 1n, true);
  const { rax } = routines.call('walkGoFrames', {
    rcx: dataAddress + BigInt(FRAMES_AT),
    rdx: BigInt(count),
    r8: framePointer,
  });
  return Array.from({ length: Number(rax) - count }, (_, index) =>
    data.getBigUint64(FRAMES_AT + (count + index) * 8, true),
  );
}

const at = (offset: number): bigint => dataAddress + BigInt(offset);

afterEach(() => routines.reset());

describe('walkGoFrames', () => {
  it('follows the frame pointers on a stack that the TEB does not know, up to one of 0', () => {
    frame(STACK_AT, at(STACK_AT + 0x40), 0x7000_0010n);
    frame(STACK_AT + 0x40, at(STACK_AT + 0x200), 0x7000_0020n);
    frame(STACK_AT + 0x200, 0n, 0x7000_0fffn);
    expect(walk(at(STACK_AT))).toEqual([0x7000_0010n, 0x7000_0020n, 0x7000_0fffn]);
  });

  it.each([
    ['just below the code', 0x6fff_ffffn],
    ['just behind the code', 0x7000_1000n],
    ['0', 0n],
    ['the highest of all', 0xffff_ffff_ffff_ffffn],
  ])('ends at a return address that is %s', (_, returnAddress) => {
    frame(STACK_AT, at(STACK_AT + 0x40), 0x7000_0010n);
    frame(STACK_AT + 0x40, at(STACK_AT + 0x80), returnAddress);
    frame(STACK_AT + 0x80, 0n, 0x7000_0020n);
    expect(walk(at(STACK_AT))).toEqual([0x7000_0010n]);
  });

  it.each([
    ['0', 0n],
    ['no multiple of 8', 0x7fff_0004n],
    ['memory that is not there', 0x10n],
    ['an address of the kernel', 0xffff_8000_0000_0000n],
    ['the last address of all', 0xffff_ffff_ffff_fff8n],
    ['memory that is only read', BigInt(0x7ffe_0000)], // KUSER_SHARED_DATA
  ])('ends at a frame pointer that is %s', (_, framePointer) => {
    frame(STACK_AT, framePointer, 0x7000_0010n);
    expect(walk(at(STACK_AT))).toEqual([0x7000_0010n]);
    expect(walk(framePointer)).toEqual([]);
  });

  it('does not read beyond the end of the memory', () => {
    const lastWord = at(data.byteLength - 8);
    frame(STACK_AT, lastWord, 0x7000_0010n);
    expect(walk(at(STACK_AT))).toEqual([0x7000_0010n]);
  });

  it('ends in a ring of frame pointers', () => {
    frame(STACK_AT, at(STACK_AT + 0x40), 0x7000_0010n);
    frame(STACK_AT + 0x40, at(STACK_AT), 0x7000_0020n);
    const found = walk(at(STACK_AT));
    expect(found.length).toBeLessThan(MAXIMUM_FRAMES);
    expect(new Set(found)).toEqual(new Set([0x7000_0010n, 0x7000_0020n]));
  });

  it('goes no further than a whole stack', () => {
    for (let index = 0; index < 2 * MAXIMUM_FRAMES; index++)
      frame(STACK_AT + index * 16, at(STACK_AT + (index + 1) * 16), 0x7000_0010n);
    expect(walk(at(STACK_AT))).toHaveLength(MAXIMUM_FRAMES - 1);
  });
});
