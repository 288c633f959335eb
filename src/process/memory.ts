import { ReadProcessMemory, VirtualQueryEx } from '../ffi/kernel32.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed } from '../io/system-error.ts';

const MEMORY_BASIC_INFORMATION_SIZE_BYTES = 48;
const MEM_COMMIT = 0x1000;
const MEM_FREE = 0x1_0000;

/** A run of pages of one kind in a process. */
export interface MemoryRegion {
  /** The page that was asked about: the pages before it may be of the same kind. */
  readonly begin: bigint;
  readonly end: bigint;
  /** Where the allocation begins that the pages belong to; means nothing for free pages. */
  readonly allocationBase: bigint;
  readonly isCommitted: boolean;
  readonly isFree: boolean;
  /** MEM_PRIVATE, MEM_MAPPED or MEM_IMAGE. */
  readonly type: number;
}

/**
 * A copy of `sizeBytes` bytes at `address` in another process.
 *
 * @param process opened with PROCESS_VM_READ
 * @throws Win32Error when any of the bytes cannot be read (ERROR_PARTIAL_COPY 299)
 */
export function readMemory(process: AsHandle, address: bigint, sizeBytes: number): Buffer {
  const copy = tryReadMemory(process, address, sizeBytes);
  if (copy === undefined)
    throw failed(`read ${sizeBytes} bytes of the target's memory at`, `0x${address.toString(16)}`);
  return copy;
}

/** {@link readMemory} for an address that came from the target itself and may point to nowhere: `undefined` then. */
export function tryReadMemory(process: AsHandle, address: bigint, sizeBytes: number): Buffer | undefined {
  const copy = Buffer.alloc(sizeBytes);
  const read = new BigUint64Array(1);
  const place = BigInt.asUintN(64, address);
  const whole = ReadProcessMemory(process.asHandle().asRawHandle(), place, copy, BigInt(sizeBytes), read);
  return whole && read[0] === BigInt(sizeBytes) ? copy : undefined;
}

/**
 * The pages from an address on; `undefined` where no program can have memory, or the process has ended.
 * https://learn.microsoft.com/windows/win32/api/winnt/ns-winnt-memory_basic_information
 *
 * @param process opened with PROCESS_QUERY_INFORMATION
 */
export function queryMemory(process: AsHandle, address: bigint): MemoryRegion | undefined {
  const region = Buffer.alloc(MEMORY_BASIC_INFORMATION_SIZE_BYTES);
  const size = VirtualQueryEx(process.asHandle().asRawHandle(), address, region, BigInt(region.length));
  if (size === 0n) return undefined;
  const begin = region.readBigUInt64LE(0); // PVOID BaseAddress
  const state = region.readUInt32LE(32); // DWORD State
  return {
    begin,
    end: begin + region.readBigUInt64LE(24), // SIZE_T RegionSize
    allocationBase: region.readBigUInt64LE(8), // PVOID AllocationBase
    isCommitted: state === MEM_COMMIT,
    isFree: state === MEM_FREE,
    type: region.readUInt32LE(40), // DWORD Type
  };
}
