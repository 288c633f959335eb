import { describe, expect, test } from 'vitest';

import { Assembler } from '../../../src/agent/asm/assembler.ts';
import { r12, r15, rbp, rbx, rdi, type Register, rsi } from '../../../src/agent/asm/registers.ts';
import {
  callerArgument,
  framedFunction,
  type FrameShape,
  returnAddressOffset,
  savedRegisterOffset,
} from '../../../src/agent/emit/abi/framed-function.ts';
import { unwindInfo } from '../../../src/agent/emit/abi/unwind-info.ts';

function hex(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}

/** Reads UNWIND_INFO as an unwinder does: pops what the prologue pushed, in the order of the codes. */
function readUnwindInfo(bytes: Uint8Array): {
  version: number;
  prologSize: number;
  frame: FrameShape;
  offsets: number[];
} {
  const [versionAndFlags = 0, prologSize = 0, countOfCodes = 0, frameRegister = 0] = bytes;
  expect(versionAndFlags >> 3, 'flags').toBe(0);
  expect(frameRegister).toBe(0);
  expect(bytes.length).toBe(4 + 2 * (countOfCodes + (countOfCodes % 2)));
  const registers = new Map<number, Register>(
    [rbx, rbp, rsi, rdi, r12, r15].map((register) => [register.code, register]),
  );
  const pushes: Register[] = [];
  const offsets: number[] = [];
  let sizeBytes = 0;
  for (let slot = 0; slot < countOfCodes; slot++) {
    const [offset = 0, code = 0] = bytes.subarray(4 + slot * 2);
    offsets.push(offset);
    const [operation, info] = [code & 15, code >> 4];
    if (operation === 0)
      pushes.unshift(registers.get(info)!); // UWOP_PUSH_NONVOL
    else if (operation === 2)
      sizeBytes += info * 8 + 8; // UWOP_ALLOC_SMALL
    else if (operation === 1 && info === 0) {
      slot++; // UWOP_ALLOC_LARGE, its size in the next slot
      sizeBytes += new DataView(bytes.buffer, bytes.byteOffset).getUint16(4 + slot * 2, true) * 8;
    } else throw new Error(`unknown unwind code ${code}`);
  }
  return { version: versionAndFlags & 7, prologSize, frame: { pushes, sizeBytes }, offsets };
}

const frames: readonly { readonly frame: FrameShape; readonly info: string }[] = [
  { frame: { pushes: [], sizeBytes: 0 }, info: '01 00 00 00' },
  { frame: { pushes: [], sizeBytes: 0x28 }, info: '01 04 01 00 04 42 00 00' },
  { frame: { pushes: [], sizeBytes: 0x78 }, info: '01 04 01 00 04 e2 00 00' },
  // 128 bytes are still a small allocation, but their `sub` has an immediate of 32 bits.
  { frame: { pushes: [], sizeBytes: 0x80 }, info: '01 07 01 00 07 f2 00 00' },
  { frame: { pushes: [], sizeBytes: 0x88 }, info: '01 07 02 00 07 01 11 00' },
  { frame: { pushes: [rbx], sizeBytes: 0x20 }, info: '01 05 02 00 05 32 01 30' },
  { frame: { pushes: [rbx, r12], sizeBytes: 0x668 }, info: '01 0a 04 00 0a 01 cd 00 03 c0 01 30' },
  { frame: { pushes: [rbp, rsi, rdi, r15], sizeBytes: 8 }, info: '01 09 05 00 09 02 05 f0 03 70 02 60 01 50 00 00' },
];

describe('the unwind data of a frame', () => {
  test.each(frames)('of $frame.pushes.length pushes and $frame.sizeBytes bytes is $info', ({ frame, info }) => {
    expect(hex(unwindInfo(frame))).toBe(info);
  });

  test.each(frames)(
    'of $frame.pushes.length pushes and $frame.sizeBytes bytes undoes the prologue that is emitted',
    ({ frame }) => {
      const { version, prologSize, frame: undone, offsets } = readUnwindInfo(unwindInfo(frame));
      expect({ version, undone }).toEqual({ version: 1, undone: frame });

      const asm = new Assembler();
      for (const register of frame.pushes) asm.push(register);
      if (frame.sizeBytes > 0) asm.data(prologueSub(frame.sizeBytes));
      expect(prologSize).toBe(asm.assemble().bytes.length);
      expect(offsets[0] ?? 0, 'the last instruction ends the prologue').toBe(prologSize);
      expect(offsets).toEqual(offsets.toSorted((a, b) => b - a));
    },
  );

  test('of more than 512 KiB is refused', () => {
    expect(() => unwindInfo({ pushes: [], sizeBytes: 0x8_0000 })).toThrow('is too large');
  });
});

/** `sub rsp, size`. */
function prologueSub(sizeBytes: number): number[] {
  if (sizeBytes <= 0x7f) return [0x48, 0x83, 0xec, sizeBytes];
  return [0x48, 0x81, 0xec, sizeBytes & 0xff, sizeBytes >> 8, 0, 0];
}

describe('a framed function', () => {
  const frame: FrameShape = { pushes: [rbx, rsi], sizeBytes: 0x58 };

  test('has the prologue that its unwind data describes, and the epilogue that the unwinder recognises', () => {
    const asm = new Assembler();
    const { begin, end } = framedFunction(asm, asm.label('function'), frame, (epilogue) => {
      asm.pause();
      epilogue();
    });
    const { bytes, offsetOf } = asm.assemble();
    // push rbx; push rsi; sub rsp, 58h; pause; add rsp, 58h; pop rsi; pop rbx; ret
    expect(hex(bytes)).toBe('53 56 48 83 ec 58 f3 90 48 83 c4 58 5e 5b c3');
    expect([offsetOf(begin), offsetOf(end)]).toEqual([0, bytes.length]);
  });

  test('begins at a multiple of 16', () => {
    const asm = new Assembler();
    asm.ret();
    const { begin } = framedFunction(asm, asm.label('function'), frame, (epilogue) => epilogue());
    expect(asm.assemble().offsetOf(begin)).toBe(16);
  });

  test('whose calls would find the stack misaligned is refused', () => {
    const asm = new Assembler();
    const build = (sizeBytes: number) => () =>
      framedFunction(asm, asm.label('f'), { pushes: [rbx], sizeBytes }, () => {});
    expect(build(0x28)).toThrow('frame of f is not 16-byte aligned');
    expect(build(0x20)).not.toThrow();
  });

  test('finds its return address, its saved registers and its caller’s arguments', () => {
    expect(returnAddressOffset(frame)).toBe(0x68);
    expect(savedRegisterOffset(frame, rbx)).toBe(0x60);
    expect(savedRegisterOffset(frame, rsi)).toBe(0x58);
    expect(() => savedRegisterOffset(frame, rdi)).toThrow('register 7 is not pushed');
    // The first argument's home is right above the return address; the fifth argument is the first on the stack.
    expect(callerArgument(frame, 0).displacement).toBe(0x70);
    expect(callerArgument(frame, 4).displacement).toBe(0x90);
  });
});
