import type { Assembler } from '../../asm/assembler.ts';
import { at } from '../../asm/operands.ts';
import { eax, edx, r8, r9d, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/** PROCESS_BASIC_INFORMATION, phnt's ntpsapi.h. */
export const processInformation = {
  /** HANDLE UniqueProcessId. */
  processId: 0x20,
  sizeBytes: 0x30,
} as const;

/**
 * Asks about the process whose handle is in rcx, by NtQueryInformationProcess. eax holds the NTSTATUS, and the flags
 * are those of a test of it.
 *
 * @param information offset from rsp at which there is room for the answer; the call has its stack argument at 0x20
 */
export function emitQueryProcess(
  asm: Assembler,
  environment: Pick<LinkedEnvironment, 'ntdllImport'>,
  information: number,
): void {
  asm.xor(edx, edx); // ProcessBasicInformation
  asm.lea(r8, at(rsp, information));
  asm.mov(r9d, processInformation.sizeBytes);
  asm.movImmediate64(at(rsp, 0x20), 0);
  asm.call(environment.ntdllImport('NtQueryInformationProcess'));
  asm.test(eax, eax);
}
