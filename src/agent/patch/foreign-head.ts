import { decodeInstruction } from './instruction.ts';

/** Reads code of this process; undefined where there is none. */
type ReadCode = (address: bigint, sizeBytes: number) => Uint8Array | undefined;

/** A function's beginning: its own, the jump of other software, or the jump of a hotpatch of Windows. */
type HeadOwner = 'own' | 'foreign' | 'hotpatch';

/** `jmp [rip + 0ffah]`: a pointer in the page behind. */
const HOTPATCH_JUMP = [0xff, 0x25, 0xfa, 0x0f, 0x00, 0x00];

const PUSH_IMM32 = 0x68;
const RET = 0xc3;
const INT3 = 0xcc;

/**
 * Finds out to whom the code belongs with which a function of a mapped DLL begins.
 *
 * Windows patches a function without a restart by a short jump at its beginning, which leads to a long jump in the
 * padding before it, and from there to a page of pointers. https://github.com/microsoft/Detours/pull/318
 *
 * Other software that watches calls writes a jump of any form.
 *
 * @param code the function's first bytes
 */
export function ownerOfHead(
  code: Uint8Array,
  address: bigint,
  module: { readonly base: bigint; readonly end: bigint },
  read: ReadCode,
): HeadOwner {
  const first = decodeInstruction(code);
  if (first?.kind === 'jump') {
    const target = address + BigInt(first.sizeBytes + first.distance);
    const isOutside = target < module.base || target >= module.end;
    // A jump from padding to a jump elsewhere is no code of a compiler's.
    const next = first.sizeBytes === SHORT_JUMP_SIZE_BYTES ? read(target, LONG_JUMP_SIZE_BYTES) : undefined;
    const second = next && decodeInstruction(next);
    if (second?.kind !== 'jump') return isOutside ? 'foreign' : 'own';
    const page = target + BigInt(second.sizeBytes + second.distance);
    const jump = read(page, HOTPATCH_JUMP.length);
    if (jump !== undefined && startsWith(jump, HOTPATCH_JUMP)) return 'hotpatch';
    return page < module.base || page >= module.end ? 'foreign' : 'own';
  }
  const isForeign =
    code[0] === INT3 ||
    startsWith(code, [0xff, 0x25]) || // jmp [rip + disp32]
    startsWith(code, [0x48, 0xff, 0x25]) ||
    (code[0] === PUSH_IMM32 && code[5] === RET) ||
    jumpsByRegister(code) ||
    (code[0] === PUSH_RAX && jumpsByStack(code));
  return isForeign ? 'foreign' : 'own';
}

const SHORT_JUMP_SIZE_BYTES = 2;
const LONG_JUMP_SIZE_BYTES = 5;
const PUSH_RAX = 0x50;

function startsWith(code: Uint8Array, expected: readonly number[]): boolean {
  return expected.every((byte, index) => code[index] === byte);
}

/** `mov r64, imm64; jmp r64`. */
function jumpsByRegister(code: Uint8Array): boolean {
  const [rex = 0, opcode = 0] = code;
  const isMove = (rex === 0x48 || rex === 0x49) && opcode >= 0xb8 && opcode <= 0xbf;
  const jump = [...(rex === 0x49 ? [0x41] : []), 0xff, 0xe0 | (opcode & 7)];
  return isMove && startsWith(code.subarray(MOV_IMM64_SIZE_BYTES), jump);
}

const MOV_IMM64_SIZE_BYTES = 10;

/** `push rax; mov rax, imm64; xchg [rsp], rax; ret`. */
function jumpsByStack(code: Uint8Array): boolean {
  const tail = code.subarray(1 + MOV_IMM64_SIZE_BYTES);
  return startsWith(code.subarray(1), [0x48, 0xb8]) && startsWith(tail, [0x48, 0x87, 0x04, 0x24, RET]);
}
