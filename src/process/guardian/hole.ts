import { VirtualAllocEx } from '../../ffi/kernel32.ts';
import type { HANDLE } from '../../ffi/library.ts';

// The guardian's process runs this module: see process-table.ts.

const MEM_COMMIT = 0x1000;
const MEM_COMMIT_RESERVE = 0x3000;
const PAGE_READWRITE = 0x04;

/** Memory of a process that is missing for a moment, while its threads stand. */
export interface Hole {
  readonly address: bigint;
  readonly sizeBytes: bigint;
}

/**
 * Puts memory where some is missing, before threads run that may use it.
 *
 * @param process opened with PROCESS_VM_OPERATION
 * @returns whether there is memory now
 */
export function fillHole(process: HANDLE, { address, sizeBytes }: Hole): boolean {
  // Windows refuses to reserve where something is; then that gets its memory.
  return [MEM_COMMIT_RESERVE, MEM_COMMIT].some(
    (type) => VirtualAllocEx(process, address, sizeBytes, type, PAGE_READWRITE) !== 0n,
  );
}
