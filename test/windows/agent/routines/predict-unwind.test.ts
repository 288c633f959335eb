import { beforeEach, describe, expect, test } from 'vitest';

import { at, teb } from '../../../../src/agent/asm/operands.ts';
import { r8, rax } from '../../../../src/agent/asm/registers.ts';
import { tebField } from '../../../../src/agent/emit/abi/teb.ts';
import { context, prediction } from '../../../../src/agent/emit/walk/context.ts';
import { emitPredictUnwind } from '../../../../src/agent/emit/walk/predict-unwind.ts';
import { placeRoutines } from './placed-routines.ts';

/*
 * An image in the data: a function at 0x1000, its RUNTIME_FUNCTION at 0x2000 and its UNWIND_INFO at 0x3000. The CONTEXT
 * lies at 0x8000. https://learn.microsoft.com/cpp/build/exception-handling-x64
 */
const [FUNCTION, ENTRY, INFO, CHAINED_INFO, CONTEXT] = [0x1000, 0x2000, 0x3000, 0x4000, 0x8000];
/** Bytes between the frame's rsp and the end of the stack; the last word of a stack is not read. */
const ROOM = 0x1000;

const routines = placeRoutines({
  emit(asm, { walk }) {
    emitPredictUnwind(asm, walk.predictUnwind);
    const predict = asm.label('predict');
    asm.align(16);
    asm.bind(predict);
    // A test gives rsp and rbp as distances from the end of the stack, which only the thread knows.
    for (const register of [context.rsp, context.rbp]) {
      asm.mov(rax, teb(tebField.stackBase));
      asm.sub(rax, at(r8, register));
      asm.mov(at(r8, register), rax);
    }
    asm.jmp(walk.predictUnwind);
    return { predict };
  },
});
const { data, dataAddress } = routines;
beforeEach(() => {
  routines.reset();
});

const [RBX, RBP, RSI] = [3, 5, 6];
const push = (offset: number, register = RBX) => [offset, (register << 4) | 0];
const allocateLarge = (offset: number, eights: number) => [offset, 0x01, eights & 0xff, eights >> 8];
const allocateHuge = (offset: number, sizeBytes: number) => [
  offset,
  0x11,
  ...new Uint8Array(Uint32Array.of(sizeBytes).buffer),
];
const allocateSmall = (offset: number, sizeBytes: number) => [offset, ((sizeBytes / 8 - 1) << 4) | 2];
const setFrame = (offset: number) => [offset, 0x03];
const save = (offset: number, eights: number) => [offset, (RSI << 4) | 4, eights & 0xff, eights >> 8];
const saveFar = (offset: number, at: number) => [offset, (RSI << 4) | 5, ...new Uint8Array(Uint32Array.of(at).buffer)];
const epilog = (offset: number) => [offset, 0x06, 0, 0];
const saveXmm = (offset: number, sixteens: number) => [offset, 0x68, sixteens & 0xff, sixteens >> 8];
const saveXmmFar = (offset: number, at: number) => [offset, 0x69, ...new Uint8Array(Uint32Array.of(at).buffer)];
const machineFrame = (offset: number, hasErrorCode: 0 | 1) => [offset, (hasErrorCode << 4) | 10];

interface Frame {
  /** Unwind codes, those of the last instruction first. */
  readonly codes: readonly (readonly number[])[];
  /** Frame register in the low half, its offset in sixteens in the high one. */
  readonly frameRegister?: number;
  /** Where in the function the thread is; the prologue has 0x20 bytes. */
  readonly at?: number;
  /** The code from there on. */
  readonly code?: readonly number[];
  /** Distance of rsp, and of rbp, from the end of the stack. */
  readonly rsp?: number;
  readonly rbp?: number;
  /** The codes of the chained unwind data. */
  readonly chained?: readonly (readonly number[])[];
}

const NOP = 0x90;

function writeInfo(
  offset: number,
  codes: readonly (readonly number[])[],
  flags: number,
  frameRegister: number,
): number {
  const bytes = codes.flat();
  new Uint8Array(data.buffer, offset).set([1 | (flags << 3), 0x20, bytes.length / 2, frameRegister, ...bytes]);
  return offset + 4 + Math.ceil(bytes.length / 4) * 4;
}

function writeEntry(offset: number, unwindData: number): void {
  // DWORD BeginAddress, EndAddress, UnwindData
  [FUNCTION, FUNCTION + 0x100, unwindData].forEach((word, index) => data.setUint32(offset + index * 4, word, true));
}

/** Whether the frame is safe to unwind; then also the caller's rsp above the frame's, and what it was measured from. */
function predict(frame: Frame) {
  const { codes, frameRegister = 0, at = 0x40, code = [NOP], rsp = ROOM + 8, rbp = 0, chained } = frame;
  const end = writeInfo(INFO, codes, chained === undefined ? 0 : 4, frameRegister);
  writeEntry(ENTRY, INFO);
  if (chained !== undefined) {
    writeEntry(end, CHAINED_INFO);
    writeInfo(CHAINED_INFO, chained, 0, 0);
  }
  return run({ at, code, rsp, rbp });
}

function run({ at = 0x40, code = [NOP], rsp = ROOM + 8, rbp = 0 }: Omit<Frame, 'codes'>) {
  new Uint8Array(data.buffer, FUNCTION + at).set(code);
  data.setBigUint64(CONTEXT + context.rip, dataAddress + BigInt(FUNCTION + at), true);
  data.setBigUint64(CONTEXT + context.rsp, BigInt(rsp), true);
  data.setBigUint64(CONTEXT + context.rbp, BigInt(rbp), true);
  const { rax: isSafe } = routines.call('predict', {
    rcx: dataAddress,
    rdx: dataAddress + BigInt(ENTRY),
    r8: dataAddress + BigInt(CONTEXT),
  });
  if (isSafe === 0n) return 'unsafe';
  expect(isSafe).toBe(1n);
  const distance =
    data.getBigUint64(CONTEXT + prediction.callerRsp, true) - data.getBigUint64(CONTEXT + context.rsp, true);
  return { distance: Number(distance), from: Number(data.getBigInt64(CONTEXT + prediction.measuredFrom, true)) };
}

const { fromRsp, fromRbp, fromElsewhere } = prediction;

describe('predictUnwind adds up the frame', () => {
  test.each<[what: string, frame: Frame, distance: number]>([
    ['of a function that only calls', { codes: [] }, 8],
    ['of pushes', { codes: [push(2, RSI), push(1)] }, 24],
    ['of a small allocation', { codes: [allocateSmall(4, 8)] }, 16],
    ['of the largest small allocation', { codes: [allocateSmall(4, 128)] }, 136],
    ['of a large allocation', { codes: [allocateLarge(7, 0x1f0)] }, 0xf88],
    ['of a large allocation with its size whole', { codes: [allocateHuge(7, 0xf80)] }, 0xf88],
    ['of an allocation below pushes', { codes: [allocateSmall(6, 0x28), push(2, RSI), push(1)] }, 0x40],
    ['of saved registers', { codes: [save(10, 4), allocateSmall(6, 0x28), push(2)] }, 0x38],
    ['of a register that is saved far', { codes: [saveFar(10, 0x20), allocateSmall(6, 0x28)] }, 0x30],
    ['of vector registers', { codes: [saveXmm(10, 1), saveXmmFar(8, 0x10), allocateSmall(6, 0x28)] }, 0x30],
    ['of version 2, which describes epilogues', { codes: [epilog(2), epilog(2), push(1)] }, 16],
    ['of code before the first push', { codes: [allocateSmall(6, 0x28), push(2)], at: 0 }, 8],
    ['of code between the push and the allocation', { codes: [allocateSmall(6, 0x28), push(2)], at: 2 }, 16],
    ['of code right behind the allocation', { codes: [allocateSmall(6, 0x28), push(2)], at: 6 }, 0x38],
    ['of its chained data, too', { codes: [save(4, 2)], chained: [allocateSmall(6, 0x28), push(2)] }, 0x38],
    ['of its chained data behind an even number of codes', { codes: [push(2), push(1)], chained: [push(2)] }, 32],
  ])('%s', (_what, frame, distance) => {
    expect(predict(frame)).toEqual({ distance, from: fromRsp });
  });

  test.each<[what: string, code: readonly number[], distance: number, at?: number]>([
    ['at the return', [0xc3], 8], // ret
    ['before one pop', [0x5b, 0xc3], 16], // pop rbx; ret
    ['before two pops, one with a prefix', [0x41, 0x5c, 0x5b, 0xc3], 24], // pop r12; pop rbx; ret
    ['before pops that no return follows: the body', [0x5b, NOP], 0x38],
    ['right behind the prologue', [0x5b, 0xc3], 16, 0x20],
    ['in the prologue, where there is none', [0x5b, 0xc3], 0x38, 0x1f],
  ])('that the epilogue has left %s', (_what, code, distance, at = 0x40) => {
    expect(predict({ codes: [allocateSmall(6, 0x28), push(2)], code, at })).toEqual({ distance, from: fromRsp });
  });

  test.each<[what: string, frame: Frame, result: object]>([
    [
      'rbp',
      { codes: [allocateSmall(8, 0x28), setFrame(6), push(2, RBP)], frameRegister: RBP, rbp: ROOM + 8 - 0x100 },
      { distance: 0x110, from: fromRbp },
    ],
    [
      'rbp with an offset',
      { codes: [setFrame(6), allocateSmall(4, 0x40), push(2, RBP)], frameRegister: RBP | 0x20, rbp: ROOM + 8 - 0x120 },
      { distance: 0x150, from: fromRbp },
    ],
    [
      'the one that the kernel pushed for an interrupt',
      { codes: [machineFrame(0, 0)] },
      { distance: 0x30, from: fromElsewhere },
    ],
    [
      'the one that the kernel pushed with an error code',
      { codes: [machineFrame(0, 1)] },
      { distance: 0x38, from: fromElsewhere },
    ],
  ])('from the frame that is named: %s', (_what, frame, result) => {
    expect(predict(frame)).toEqual(result);
  });

  test('of an entry that leads to another', () => {
    writeEntry(ENTRY, (ENTRY + 0x40) | 1);
    writeEntry(ENTRY + 0x40, INFO);
    writeInfo(INFO, [push(1)], 0, 0);
    expect(run({})).toEqual({ distance: 16, from: fromRsp });
  });
});

describe('predictUnwind refuses to read beyond the stack', () => {
  // With this room the last word that is read is the last that may be, and with a word less it is the one behind it.
  // The walker has checked rsp itself.
  test.each<[what: string, frame: Frame, room: number]>([
    ['a pushed register', { codes: [push(1)] }, 8],
    ['what lies behind an allocation', { codes: [allocateSmall(4, 128)] }, 128],
    ['what lies behind a large allocation', { codes: [allocateLarge(4, 0x1000)] }, 0x8000],
    ['a saved register', { codes: [save(4, 0x100)] }, 0x800],
    ['a register that is saved far', { codes: [saveFar(4, 0x1_2340)] }, 0x1_2340],
    ['the upper half of a vector register', { codes: [saveXmm(4, 0x10)] }, 0x108],
    ['the upper half of a vector register far away', { codes: [saveXmmFar(4, 0x1_2340)] }, 0x1_2348],
    ['a register that the epilogue pops', { codes: [], code: [0x5b, 0x5b, 0xc3] }, 16],
    ['what a chained frame pushed', { codes: [push(1)], chained: [push(1), push(1)] }, 24],
  ])('for %s', (_what, frame, room) => {
    expect(predict({ ...frame, rsp: room + 8 })).not.toBe('unsafe');
    expect(predict({ ...frame, rsp: room })).toBe('unsafe');
  });

  test.each<[what: string, rbp: number]>([
    ['is beyond the end of the stack', -0x1000],
    ['is below the frame', ROOM + 0x1000],
  ])('when the frame register %s', (_what, rbp) => {
    expect(predict({ codes: [setFrame(6), push(2, RBP)], frameRegister: RBP, rbp })).toBe('unsafe');
  });

  test('when codes end in the middle of one', () => {
    writeEntry(ENTRY, INFO);
    writeInfo(INFO, [[4, 0x01]], 0, 0); // UWOP_ALLOC_LARGE without its size
    expect(run({ rsp: 2 ** 40 }), 'however much room there is').toBe('unsafe');
  });

  test('when chained data go round in a ring', () => {
    const end = writeInfo(INFO, [push(1)], 4, 0);
    for (const entry of [ENTRY, end]) writeEntry(entry, INFO);
    expect(run({})).toBe('unsafe');
  });

  test('when an entry leads to itself', () => {
    writeEntry(ENTRY, ENTRY | 1);
    expect(run({})).toBe('unsafe');
  });
});

describe('unwind data of another version', () => {
  const [PUSH_OF_RBX, NO_LAYOUT_OF_OURS] = [push(1), [0xff, 0xff, 0xff, 0xff]] as const;
  const setVersion = (offset: number, version: number) => {
    const flags = data.getUint8(offset) & ~7;
    data.setUint8(offset, flags | version);
  };

  test('2 has the same layout', () => {
    const before = predict({ codes: [PUSH_OF_RBX] });
    setVersion(INFO, 2);
    expect(run({})).toEqual(before);
  });

  test.each([3, 4, 7])('%i is left to the unwinder, whatever it holds', (version) => {
    predict({ codes: [NO_LAYOUT_OF_OURS] });
    setVersion(INFO, version);
    const { rax } = routines.call('predict', {
      rcx: dataAddress,
      rdx: dataAddress + BigInt(ENTRY),
      r8: dataAddress + BigInt(CONTEXT),
    });
    expect(rax).toBe(1n);
    expect(data.getBigInt64(CONTEXT + prediction.measuredFrom, true)).toBe(BigInt(fromElsewhere));
    expect(data.getBigUint64(CONTEXT + prediction.callerRsp, true)).toBe(0n); // where no frame ends
  });

  test('is left to the unwinder when it is chained, too', () => {
    predict({ codes: [PUSH_OF_RBX], chained: [PUSH_OF_RBX] });
    setVersion(CHAINED_INFO, 3);
    expect(run({})).toMatchObject({ from: fromElsewhere });
  });
});
