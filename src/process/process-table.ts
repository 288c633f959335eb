import { STATUS_INFO_LENGTH_MISMATCH } from '../ffi/constants.ts';
import { NtQuerySystemInformation } from '../ffi/ntdll.ts';
import { failedWithStatus } from '../io/system-error.ts';

// The guardian's process runs this module, and Node may load it as TypeScript: neither it nor its imports may use
// syntax that a compiler must lower, such as `using`.

const SystemProcessInformation = 5;
const ENTRY_SIZE_BYTES = 144;
const THREADS_OFFSET = 256;
const THREAD_SIZE_BYTES = 80;

/**
 * The ids of a process's threads; empty when it has ended.
 *
 * @throws NtStatusError when the kernel refuses
 */
export function listThreadIds(processId: number): readonly number[] {
  const table = readProcessTable();
  for (const at of listEntries(table)) {
    if (table.readUInt32LE(at + 80) !== processId) continue;
    const count = Math.min(
      table.readUInt32LE(at + 4), // ULONG NumberOfThreads
      Math.floor((table.length - at - THREADS_OFFSET) / THREAD_SIZE_BYTES),
    );
    // SYSTEM_THREAD_INFORMATION Threads[]: +48 HANDLE ClientId.UniqueThread
    return Array.from({ length: Math.max(0, count) }, (_, index) =>
      table.readUInt32LE(at + THREADS_OFFSET + index * THREAD_SIZE_BYTES + 48),
    );
  }
  return [];
}

/**
 * The kernel's SYSTEM_PROCESS_INFORMATION list.
 *
 * @throws NtStatusError when the kernel refuses
 */
export function readProcessTable(): Buffer {
  for (let sizeBytes = 262_144; ; ) {
    const table = Buffer.alloc(sizeBytes);
    const neededBytes = new Uint32Array(1);
    const status = NtQuerySystemInformation(SystemProcessInformation, table, sizeBytes, neededBytes);
    if (status === 0) return table;
    if (status !== STATUS_INFO_LENGTH_MISMATCH || sizeBytes > 1 << 28)
      throw failedWithStatus('list the processes', '', status);
    sizeBytes = Math.max(sizeBytes * 2, neededBytes[0]!);
  }
}

/** Offsets of the entries, each of which has all of its fixed part inside of the table. */
export function* listEntries(table: Buffer): Generator<number> {
  for (let at = 0; at + ENTRY_SIZE_BYTES <= table.length; ) {
    yield at;
    const next = table.readUInt32LE(at); // ULONG NextEntryOffset
    if (next < ENTRY_SIZE_BYTES) return;
    at += next;
  }
}
