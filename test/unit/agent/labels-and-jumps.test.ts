import { describe, expect, test } from 'vitest';

import { Assembler } from '../../../src/agent/asm/assembler.ts';
import type { Condition } from '../../../src/agent/asm/code-buffer.ts';
import { type Label, relative } from '../../../src/agent/asm/operands.ts';
import { rcx } from '../../../src/agent/asm/registers.ts';
import { hex } from './hex.ts';
import { seededRandom } from './random.ts';

describe('a label', () => {
  test('that is used but not bound is refused', () => {
    const asm = new Assembler();
    asm.jmp(asm.label('nowhere'));
    expect(() => asm.assemble()).toThrow('label nowhere is not bound');
  });

  test('that is only asked for, and not bound, is refused', () => {
    const asm = new Assembler();
    const label = asm.label('nowhere');
    expect(() => asm.assemble().offsetOf(label)).toThrow('label nowhere is not bound');
  });

  test('that is bound twice is refused', () => {
    const asm = new Assembler();
    const label = asm.bind(asm.label('here'));
    asm.ret();
    expect(() => asm.bind(label)).toThrow('label here is bound twice');
  });

  test('may share its name with another', () => {
    const asm = new Assembler();
    const first = asm.bind(asm.label('done'));
    asm.ret();
    const second = asm.bind(asm.label('done'));
    const { offsetOf } = asm.assemble();
    expect([offsetOf(first), offsetOf(second)]).toEqual([0, 1]);
  });

  test('is reached relative to the instruction pointer, from the end of the instruction with its immediate', () => {
    const asm = new Assembler();
    const label = asm.label('data');
    asm.lea(rcx, relative(label)); // 48 8d 0d disp32
    asm.movImmediate32(relative(label), 7); // c7 05 disp32 imm32
    asm.cmpImmediate32(relative(label), 7); // 83 3d disp32 imm8
    asm.lockInc32(relative(label)); // f0 ff 05 disp32
    asm.call(label); // e8 disp32
    asm.bind(label);
    expect(hex(asm.assemble().bytes)).toBe(
      '48 8d 0d 1d 00 00 00 c7 05 13 00 00 00 07 00 00 00 83 3d 0c 00 00 00 07 f0 ff 05 05 00 00 00 e8 00 00 00 00',
    );
  });

  test('behind an alignment lies at the next multiple, with int3 before it', () => {
    const asm = new Assembler();
    asm.ret();
    asm.align(8);
    const label = asm.bind(asm.label('aligned'));
    asm.data([0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11]);
    asm.align(8);
    const { bytes, offsetOf } = asm.assemble();
    expect(offsetOf(label)).toBe(8);
    expect(hex(bytes)).toBe('c3 cc cc cc cc cc cc cc 88 77 66 55 44 33 22 11');
  });
});

const conditionNibbles: Readonly<Record<Condition, number>> = {
  b: 0x2,
  ae: 0x3,
  e: 0x4,
  ne: 0x5,
  be: 0x6,
  a: 0x7,
  s: 0x8,
  ns: 0x9,
  l: 0xc,
  ge: 0xd,
  le: 0xe,
  g: 0xf,
};
const conditions = Object.keys(conditionNibbles) as Condition[];

/** A jump as the processor reads it. */
interface DecodedJump {
  readonly condition: Condition | undefined;
  readonly sizeBytes: number;
  readonly target: number;
}

/** Intel SDM volume 2: JMP and Jcc, with 8 and 32 bits. */
function decodeJump(bytes: Uint8Array, offset: number): DecodedJump {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const [first = 0, second = 0] = bytes.subarray(offset);
  const conditionOf = (nibble: number) => conditions.find((condition) => conditionNibbles[condition] === nibble);
  const jump = (condition: Condition | undefined, headSize: number, isShort: boolean): DecodedJump => {
    const sizeBytes = headSize + (isShort ? 1 : 4);
    const distance = isShort ? view.getInt8(offset + headSize) : view.getInt32(offset + headSize, true);
    return { condition, sizeBytes, target: offset + sizeBytes + distance };
  };
  if (first === 0xeb) return jump(undefined, 1, true);
  if (first === 0xe9) return jump(undefined, 1, false);
  if (first >> 4 === 7) return jump(conditionOf(first & 15), 1, true);
  if (first === 0x0f && second >> 4 === 8) return jump(conditionOf(second & 15), 2, false);
  throw new Error(`no jump at ${offset}: ${hex(bytes.subarray(offset, offset + 6))}`);
}

function emitJump(asm: Assembler, condition: Condition | undefined, target: Label): void {
  if (condition === undefined) asm.jmp(target);
  else asm.j(condition, target);
}

describe.each([undefined, ...conditions])('a jump (%s)', (condition) => {
  const longSize = condition === undefined ? 5 : 6;

  test.each([
    { between: 0, size: 2 },
    { between: 127, size: 2 },
    { between: 128, size: longSize },
    { between: 100_000, size: longSize },
  ])('forward over $between bytes takes $size', ({ between, size }) => {
    const asm = new Assembler();
    const target = asm.label('target');
    emitJump(asm, condition, target);
    asm.data(new Uint8Array(between));
    asm.bind(target);
    expect(decodeJump(asm.assemble().bytes, 0)).toEqual({ condition, sizeBytes: size, target: size + between });
  });

  test.each([
    { between: 0, size: 2 },
    { between: 126, size: 2 },
    { between: 127, size: longSize },
    { between: 100_000, size: longSize },
  ])('backward over $between bytes takes $size', ({ between, size }) => {
    const asm = new Assembler();
    const target = asm.bind(asm.label('target'));
    asm.data(new Uint8Array(between));
    emitJump(asm, condition, target);
    expect(decodeJump(asm.assemble().bytes, between)).toEqual({ condition, sizeBytes: size, target: 0 });
  });
});

test('every jump of any program lands on its label, and is short where that reaches', () => {
  const random = seededRandom(0x5eed);
  for (let round = 0; round < 300; round++) {
    const asm = new Assembler();
    const labels = Array.from({ length: 12 }, (_, index) => asm.label(`label ${index}`));
    const jumps: { readonly place: Label; readonly condition: Condition | undefined; readonly target: Label }[] = [];
    for (const label of labels) {
      for (let count = random.below(6); count > 0; count--) {
        const place = asm.bind(asm.label('jump'));
        const condition = [undefined, ...conditions][random.below(13)];
        const target = labels[random.below(labels.length)]!;
        emitJump(asm, condition, target);
        jumps.push({ place, condition, target });
        asm.data(new Uint8Array(random.below(40)).fill(0x90));
      }
      if (random.below(4) === 0) asm.align(16);
      asm.bind(label);
    }
    const { bytes, offsetOf } = asm.assemble();
    for (const { place, condition, target } of jumps) {
      const decoded = decodeJump(bytes, offsetOf(place));
      expect(decoded).toMatchObject({ condition, target: offsetOf(target) });
      // With padding in between, a jump may have become too long for the last byte only.
      const distance = offsetOf(target) - (offsetOf(place) + 2);
      if (decoded.sizeBytes > 2) expect(Math.abs(distance)).toBeGreaterThan(127 - 16 - 4);
    }
  }
});
