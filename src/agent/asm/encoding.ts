import { type CodeBuffer, fitsInt8 } from './code-buffer.ts';
import type { Memory, Operand } from './operands.ts';
import type { Register } from './registers.ts';

// How the processor's instructions name registers and memory: REX, opcode, ModRM, SIB and displacement.
// Encodings: Intel SDM volume 2, chapter 2.

const scaleBits = { 1: 0, 2: 1, 4: 2, 8: 3 } as const;

/** An instruction that has its register in the opcode. */
export function encodeInOpcode(code: CodeBuffer, opcode: number, register: number, wide: boolean): void {
  const rex = (wide ? 8 : 0) | (register >= 8 ? 1 : 0);
  if (rex !== 0) code.byte(0x40 | rex);
  code.byte(opcode + (register & 7));
}

/** An instruction `opcode r/m, r` or `opcode r, r/m`: the register's size is the instruction's. */
export function encodeRegisterForm(code: CodeBuffer, opcode: number, register: Register, operand: Operand): void {
  encode(code, opcode, register.code, operand, register.sizeBytes === 8);
}

/**
 * An instruction up to its immediate. The caller appends the immediate.
 *
 * @param opcode one byte, or two with 0x0f as the first
 * @param reg number of a register, or the opcode's extension
 */
export function encode(
  code: CodeBuffer,
  opcode: number,
  reg: number,
  operand: Operand,
  wide: boolean,
  immediateSizeBytes = 0,
): void {
  const base = operand.kind === 'register' ? operand : operand.base;
  const index = operand.kind === 'memory' ? operand.index : undefined;
  const rex =
    (wide ? 8 : 0) |
    (reg >= 8 ? 4 : 0) |
    (index !== undefined && index.code >= 8 ? 2 : 0) |
    (base !== undefined && base.code >= 8 ? 1 : 0);
  if (operand.kind === 'memory' && operand.gs) code.byte(0x65);
  if (rex !== 0) code.byte(0x40 | rex);
  if (opcode > 0xff) code.byte(opcode >> 8);
  code.byte(opcode & 0xff);
  if (operand.kind === 'register') code.byte(0xc0 | ((reg & 7) << 3) | (operand.code & 7));
  else encodeAddress(code, (reg & 7) << 3, operand, immediateSizeBytes);
}

/** ModRM, SIB and displacement of a memory operand. */
function encodeAddress(
  code: CodeBuffer,
  reg: number,
  { base, index, scale, displacement, label }: Memory,
  immediateSizeBytes: number,
): void {
  if (label) {
    code.byte(reg | 5);
    code.reference(label, immediateSizeBytes);
    return;
  }
  if (base === undefined) {
    // Without a base, mod 00 rm 101 is relative to rip. The absolute form has a SIB byte without base and index.
    code.byte(reg | 4);
    code.byte(0x25);
    code.signed32(displacement);
    return;
  }
  // rbp and r13 as base have no form without a displacement; rsp and r12 need a SIB byte.
  const low = base.code & 7;
  const mod = displacement === 0 && low !== 5 ? 0 : fitsInt8(displacement) ? 0x40 : 0x80;
  if (index === undefined && low !== 4) {
    code.byte(mod | reg | low);
  } else {
    code.byte(mod | reg | 4);
    code.byte((scaleBits[scale ?? 1] << 6) | ((index === undefined ? 4 : index.code & 7) << 3) | low);
  }
  if (mod === 0x40) code.byte(displacement);
  else if (mod === 0x80) code.signed32(displacement);
}
