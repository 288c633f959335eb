import type { Assembler } from '../../asm/assembler.ts';
import { at, type Memory } from '../../asm/operands.ts';
import { r8, r9, rcx, type Register, rsp } from '../../asm/registers.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

const CURRENT_PROCESS = -1n;
/** An option of NtDuplicateObject: the new handle has the rights of the other one. */
export const DUPLICATE_SAME_ACCESS = 2;

/**
 * Duplicates the handle in rdx within this process, by NtDuplicateObject. The status is in eax.
 *
 * @param copy place of the new handle; the call has its stack arguments at 0x20
 * @param attributes register with the attributes of the new handle, which has none otherwise; not rcx, r8, r9
 */
export function emitDuplicateHandle(
  asm: Assembler,
  { ntdllImport }: Pick<LinkedEnvironment, 'ntdllImport'>,
  copy: Memory,
  options: number,
  attributes?: Register,
): void {
  asm.mov(rcx, CURRENT_PROCESS);
  asm.mov(r8, CURRENT_PROCESS);
  asm.lea(r9, copy);
  asm.movImmediate64(at(rsp, 0x20), 0); // ACCESS_MASK DesiredAccess: none, where the options do not say "the same"
  const handleAttributes = at(rsp, 0x28); // ULONG
  if (attributes === undefined) asm.movImmediate64(handleAttributes, 0);
  else asm.mov(handleAttributes, attributes);
  asm.movImmediate64(at(rsp, 0x30), options); // ULONG Options
  asm.call(ntdllImport('NtDuplicateObject'));
}
