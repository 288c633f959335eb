import { hookTable } from '../tables/hook-table.ts';
import { type AgentCode, CALL_TRAMPOLINE_SIZE_BYTES } from './agent-code.ts';

/** `call rel32`, and `call [rsp + …]` with a distance of one byte and of four. */
const CALL_REL32 = 0xe8;
const CALL_RSP_8 = [0xff, 0x54, 0x24];
const CALL_RSP_32 = [0xff, 0x94, 0x24];

/**
 * Whether an offset of the agent's image lies in the trampoline of a system call: a thread there is about to make one.
 * A thread that makes one is in ntdll, and the trampolines of functions lie outside of the image.
 */
export function isInTrampoline(code: AgentCode, offset: number): boolean {
  const distance = offset - code.callTrampolinesOffset;
  return distance >= 0 && distance < hookTable.length * CALL_TRAMPOLINE_SIZE_BYTES;
}

/**
 * Whether an offset of the agent's image is where a hook goes on after the real call. The calls of recording code have
 * another form: they go to routines, or by way of an import slot.
 */
export function isReturnOfRealCall(code: AgentCode, offset: number): boolean {
  const { bytes } = code;
  const has = (at: number, expected: readonly number[]): boolean =>
    at >= 0 && expected.every((byte, index) => bytes[at + index] === byte);
  if (offset < 7 || offset > bytes.length) return false;
  if (bytes[offset - 5] === CALL_REL32) {
    const distance = new DataView(bytes.buffer, bytes.byteOffset + offset - 4, 4).getInt32(0, true);
    if (isInTrampoline(code, offset + distance)) return true;
  }
  return has(offset - 4, CALL_RSP_8) || has(offset - 7, CALL_RSP_32);
}
