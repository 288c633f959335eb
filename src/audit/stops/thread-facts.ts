import { ProcessBasicInformation } from '../../ffi/constants.ts';
import { NtQueryInformationProcess } from '../../ffi/ntdll.ts';
import type { AsHandle } from '../../io/index.ts';
import { tryReadMemory } from '../../process/memory.ts';

const ProcessDebugPort = 7; // PROCESSINFOCLASS
const LOADER_LOCK = 0x110n; // PRTL_CRITICAL_SECTION PEB.LoaderLock
const OWNING_THREAD = 0x10n; // HANDLE RTL_CRITICAL_SECTION.OwningThread

/** Whether a debugger is attached to a process. */
export function isDebugged(process: AsHandle): boolean {
  const port = Buffer.alloc(8); // DWORD_PTR
  const raw = process.asHandle().asRawHandle();
  return (
    NtQueryInformationProcess(raw, ProcessDebugPort, port, port.length, null) === 0 && port.some((byte) => byte !== 0)
  );
}

/** Whether a thread of a process holds the lock of the loader, as while a DLL is initialised. */
export function holdsLoaderLock(process: AsHandle, threadId: number): boolean {
  const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION
  const raw = process.asHandle().asRawHandle();
  if (NtQueryInformationProcess(raw, ProcessBasicInformation, basic, basic.length, null) !== 0) return false;
  const peb = basic.readBigUInt64LE(8); // PPEB PebBaseAddress
  const lock = tryReadMemory(process, peb + LOADER_LOCK, 8)?.readBigUInt64LE();
  const owner = lock === undefined ? undefined : tryReadMemory(process, lock + OWNING_THREAD, 8)?.readBigUInt64LE();
  return owner === BigInt(threadId);
}
