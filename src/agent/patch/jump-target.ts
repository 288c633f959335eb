import { decodeInstruction } from './instruction.ts';

/** Bytes of a function's beginning that show where a jump leads that other software has written there. */
export const JUMP_FORM_SIZE_BYTES = 24;

/** Reads code or a pointer; undefined where there is none. */
type ReadCode = (address: bigint, sizeBytes: number) => Uint8Array | undefined;

/**
 * Finds out where code leads that begins with a jump of a form in use for hooks; `undefined` where it begins in
 * another way.
 *
 * @param code at least {@link JUMP_FORM_SIZE_BYTES}
 * @param address of the code
 */
export function jumpTarget(code: Uint8Array, address: bigint, read: ReadCode): bigint | undefined {
  // mov r10, rcx: the hook of a system call may leave it.
  const skipped = startsWith(code, [0x4c, 0x8b, 0xd1]) ? 3 : 0;
  const view = new DataView(code.buffer, code.byteOffset + skipped, code.length - skipped);
  const bytes = code.subarray(skipped);
  const begin = address + BigInt(skipped);
  const first = decodeInstruction(bytes);
  if (first?.kind === 'jump') return begin + BigInt(first.sizeBytes + first.distance);
  const prefix = bytes[0] === 0x48 ? 1 : 0;
  if (startsWith(bytes.subarray(prefix), [0xff, 0x25])) {
    const end = begin + BigInt(prefix + 6); // jmp [rip + disp32]
    return readPointer(end + BigInt(view.getInt32(prefix + 2, true)), read);
  }
  const [rex = 0, opcode = 0] = bytes;
  if ((rex === 0x48 || rex === 0x49) && opcode >= 0xb8 && opcode <= 0xbf) {
    const jump = [...(rex === 0x49 ? [0x41] : []), 0xff, 0xe0 | (opcode & 7)]; // mov r64, imm64; jmp r64
    return startsWith(bytes.subarray(10), jump) ? view.getBigUint64(2, true) : undefined;
  }
  if (startsWith(bytes, [0x50, 0x48, 0xb8])) {
    // push rax; mov rax, imm64; xchg [rsp], rax; ret
    return startsWith(bytes.subarray(11), [0x48, 0x87, 0x04, 0x24, 0xc3]) ? view.getBigUint64(3, true) : undefined;
  }
  if (bytes[0] !== 0x68) return undefined;
  const low = BigInt(view.getInt32(1, true)); // push imm32
  if (bytes[5] === 0xc3) return BigInt.asUintN(64, low);
  // mov dword ptr [rsp + 4], imm32; ret
  if (!startsWith(bytes.subarray(5), [0xc7, 0x44, 0x24, 0x04]) || bytes[13] !== 0xc3) return undefined;
  return BigInt.asUintN(32, low) | (BigInt(view.getUint32(9, true)) << 32n);
}

function readPointer(address: bigint, read: ReadCode): bigint | undefined {
  const bytes = read(address, 8);
  return bytes && new DataView(bytes.buffer, bytes.byteOffset, 8).getBigUint64(0, true);
}

function startsWith(code: Uint8Array, expected: readonly number[]): boolean {
  return expected.every((byte, index) => code[index] === byte);
}
