/** Size of the jump at a function's beginning. */
export const JUMP_SIZE_BYTES = 5;

/** The largest part of a function's beginning that is read or moved. */
export const PROLOGUE_SIZE_BYTES_MAX = 24;

const JMP_REL32 = 0xe9;

/** The part of a function that must be moved when a jump replaces its beginning. */
export interface MovedPrologue {
  /** How many of its first bytes to copy. */
  readonly sizeBytes: number;
  /** The address at which it continues after them. */
  readonly continuesAt: bigint;
}

/**
 * Finds the part of a function to move, so that a jump fits at its beginning; undefined when the function must stay as
 * it is.
 *
 * A function may be nothing but a jump to another function of its module, a tail call. `WSASendTo` is one under Wine
 * 10. A jump out of the module is a hook by other software.
 */
export function movePrologue(
  code: Uint8Array,
  address: bigint,
  module: { readonly base: bigint; readonly end: bigint },
): MovedPrologue | undefined {
  if (code[0] === JMP_REL32 && code.length >= JUMP_SIZE_BYTES) {
    const distance = new DataView(code.buffer, code.byteOffset).getInt32(1, true);
    const target = address + BigInt(JUMP_SIZE_BYTES + distance);
    return target >= module.base && target < module.end ? { sizeBytes: 0, continuesAt: target } : undefined;
  }
  const sizeBytes = movablePrologueSize(code);
  return sizeBytes === undefined ? undefined : { sizeBytes, continuesAt: address + BigInt(sizeBytes) };
}

/**
 * Counts the bytes of the whole instructions at a function's beginning that must be moved to make room for a jump;
 * undefined when one of them cannot be moved or is not known.
 *
 * It knows the instructions with which compilers begin functions, except those that depend on their own address.
 */
export function movablePrologueSize(code: Uint8Array): number | undefined {
  let size = 0;
  while (size < JUMP_SIZE_BYTES) {
    const length = instructionSize(code.subarray(size));
    if (length === undefined || size + length > code.length) return undefined;
    size += length;
  }
  return size;
}

const ENDBR64 = [0xf3, 0x0f, 0x1e, 0xfa];

function instructionSize(code: Uint8Array): number | undefined {
  if (ENDBR64.every((byte, index) => code[index] === byte)) return ENDBR64.length;
  const hasRex = (code[0] ?? 0) >> 4 === 4;
  const prefixSize = hasRex ? 1 : 0;
  const isWide = hasRex && (code[0]! & 8) !== 0;
  const opcode = code[prefixSize] ?? 0;
  const afterOpcode = prefixSize + 1;
  if (opcode >= 0x50 && opcode <= 0x57) return afterOpcode; // push r64
  if (opcode >= 0xb8 && opcode <= 0xbf) return afterOpcode + (isWide ? 8 : 4); // mov r, imm
  switch (opcode) {
    case 0x31: // xor r/m, r
    case 0x33: // xor r, r/m
    case 0x63: // movsxd r, r/m
    case 0x85: // test r/m, r
    case 0x89: // mov r/m, r
    case 0x8b: // mov r, r/m
    case 0x8d: // lea r, m
      return withAddress(code, afterOpcode, 0);
    case 0x83: // add, or, and, sub, cmp r/m, imm8
      return withAddress(code, afterOpcode, 1);
    case 0x81: // the same with imm32
      return withAddress(code, afterOpcode, 4);
    case 0xc7: // mov r/m, imm32; c7 f8 is xbegin, relative to itself
      return ((code[afterOpcode] ?? 0) & 0x38) === 0 ? withAddress(code, afterOpcode, 4) : undefined;
    default:
      return undefined;
  }
}

/** The size of an instruction with a ModRM byte at `offset`; undefined when its address is relative to itself. */
function withAddress(code: Uint8Array, offset: number, immediateSize: number): number | undefined {
  const modrm = code[offset];
  if (modrm === undefined) return undefined;
  const mod = modrm >> 6;
  const rm = modrm & 7;
  if (mod === 3) return offset + 1 + immediateSize;
  if (mod === 0 && rm === 5) return undefined; // [rip + disp32]
  const sibSize = rm === 4 ? 1 : 0;
  const noBase = mod === 0 && sibSize === 1 && ((code[offset + 1] ?? 0) & 7) === 5;
  const displacementSize = mod === 1 ? 1 : mod === 2 || noBase ? 4 : 0;
  return offset + 1 + sibSize + displacementSize + immediateSize;
}
