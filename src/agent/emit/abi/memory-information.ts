import type { Assembler } from '../../asm/assembler.ts';
import { at, type Memory } from '../../asm/operands.ts';
import { r8d, r9, rcx, rdx, type Register, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/** MEMORY_BASIC_INFORMATION, winnt.h. */
export const memoryInformation = {
  baseAddress: 0x00, // PVOID BaseAddress
  regionSize: 0x18, // SIZE_T RegionSize
  state: 0x20, // DWORD State
  protect: 0x24, // DWORD Protect
  type: 0x28, // DWORD Type
  sizeBytes: 0x30,
} as const;

/** The type of a region that an image is mapped into. */
export const MEM_IMAGE = 0x100_0000;
/** The state of a region that memory stands behind. */
export const MEM_COMMIT = 0x1000;

/** Memory that may be read and written, and not run. */
export const PAGE_READWRITE = 0x04;
/** PAGE_EXECUTE, PAGE_EXECUTE_READ, PAGE_EXECUTE_READWRITE and PAGE_EXECUTE_WRITECOPY: the processor may run it. */
export const PAGE_EXECUTE_ANY = 0xf0;

/**
 * Asks about the region of memory that an address lies in, by NtQueryVirtualMemory. eax holds the NTSTATUS.
 *
 * @param address the register that holds it, or an operand that lies there
 * @param information offset from rsp at which there is room for the answer; the call has its stack arguments at 0x20
 */
export function emitQueryMemory(
  asm: Assembler,
  { ntdllImport }: Pick<LinkedEnvironment, 'ntdllImport'>,
  address: Register | Memory,
  information: number,
): void {
  asm.mov(rcx, -1n);
  if (address.kind === 'register') asm.mov(rdx, address);
  else asm.lea(rdx, address);
  asm.xor(r8d, r8d); // MemoryBasicInformation
  asm.lea(r9, at(rsp, information));
  asm.movImmediate64(at(rsp, 0x20), memoryInformation.sizeBytes);
  asm.movImmediate64(at(rsp, 0x28), 0);
  asm.call(ntdllImport('NtQueryVirtualMemory'));
}
