import { PROCESS_QUERY_LIMITED_INFORMATION, ProcessTimes } from '../ffi/constants.ts';
import { GetExitCodeProcess, OpenProcess, QueryFullProcessImageNameW } from '../ffi/kernel32.ts';
import { addressOf, type HANDLE } from '../ffi/library.ts';
import { NtQueryInformationProcess } from '../ffi/ntdll.ts';
import { type AsHandle, failed, HandleOrNull, NULL_HANDLE, type OwnedHandle } from '../io/index.ts';
import { failedWithStatus } from '../io/system-error.ts';
import { UserError } from '../user-error.ts';
import { listEntries, readProcessTable } from './process-table.ts';

/** One running process. */
export interface ProcessInfo {
  readonly processId: number;
  /** The program's file name: `app.exe`. It may be hostile: escape it where it is shown. */
  readonly name: string;
  readonly parentId: number;
  readonly sessionId: number;
  /** FILETIME. Ids are used again; an id with this time names one process for good. */
  readonly startTime: bigint;
  readonly threadCount: number;
  /**
   * The time that its threads have used, including those that have ended, in units of 100 ns. Windows and Linux count
   * in ticks of 10 to 16 ms.
   */
  readonly processorTime: bigint;
  readonly peakWorkingSetBytes: number;
  /**
   * The kernel's number. Wine 8 and 10 return how many handles there is room for: a power of two, and more than there
   * are [ran].
   */
  readonly handleCount: number;
}

/** The process of a command does not exist, or has ended. */
class ProcessNotFoundError extends UserError {
  constructor(wanted: string, why: string, advice: string) {
    super(`Cannot find process ${wanted}: ${why}. Try ${advice}.`);
  }
}

/**
 * All processes that run, in the kernel's order.
 *
 * https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntquerysysteminformation
 *
 * @throws NtStatusError when the kernel refuses
 */
export function listProcesses(): readonly ProcessInfo[] {
  const table = readProcessTable();
  return decodeProcesses(table, addressOf(table));
}

/**
 * Whether a process that was listed runs still, and its id is not another's by now. The caller has a handle of the
 * process that has the id: otherwise the answer may be out of date at once.
 *
 * @throws NtStatusError when the kernel refuses to list the processes
 */
export function isStillListed({ processId, startTime }: ProcessInfo): boolean {
  return listProcesses().some((process) => process.processId === processId && process.startTime === startTime);
}

/**
 * Reads a SYSTEM_PROCESS_INFORMATION list. When a link or length leads out of it, only the processes before the damage
 * are returned.
 *
 * @param address where the kernel wrote the table: it refers to names by their addresses
 */
export function decodeProcesses(table: Buffer, address: bigint): readonly ProcessInfo[] {
  return Array.from(listEntries(table), (at) => {
    const nameBytes = table.readUInt16LE(at + 56) & ~1; // USHORT ImageName.Length
    const nameAt = Number(table.readBigUInt64LE(at + 64) - address); // PWSTR ImageName.Buffer
    const isInside = nameAt >= 0 && nameAt + nameBytes <= table.length;
    const processId = table.readUInt32LE(at + 80); // HANDLE UniqueProcessId
    const name = isInside ? table.toString('utf16le', nameAt, nameAt + nameBytes) : '';
    return {
      processId,
      name: name === '' ? (processId === 0 ? 'System Idle Process' : '?') : name,
      parentId: table.readUInt32LE(at + 88), // HANDLE InheritedFromUniqueProcessId
      sessionId: table.readUInt32LE(at + 100), // ULONG SessionId
      startTime: table.readBigInt64LE(at + 32), // LARGE_INTEGER CreateTime
      threadCount: table.readUInt32LE(at + 4), // ULONG NumberOfThreads
      // LARGE_INTEGER UserTime, KernelTime
      processorTime: table.readBigInt64LE(at + 40) + table.readBigInt64LE(at + 48),
      peakWorkingSetBytes: Number(table.readBigUInt64LE(at + 136)), // SIZE_T PeakWorkingSetSize
      handleCount: table.readUInt32LE(at + 96), // ULONG HandleCount
    };
  });
}

/**
 * The processor time of a process: see {@link ProcessInfo.processorTime}. `undefined` when the process does not run.
 *
 * GetProcessTimes would be the call for it, but returns the caller's own times for every process [ran, Wine 8].
 */
export function readProcessorTime(processId: number): bigint | undefined {
  return listProcesses().find((process) => process.processId === processId)?.processorTime;
}

/**
 * FILETIME at which a process was made, also when it has ended; see {@link ProcessInfo.startTime}.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION
 * @throws NtStatusError when the kernel refuses
 */
export function readStartTime(process: AsHandle, processId: number): bigint {
  const times = Buffer.alloc(32); // KERNEL_USER_TIMES
  const raw = process.asHandle().asRawHandle();
  const status = NtQueryInformationProcess(raw, ProcessTimes, times, times.length, null);
  if (status !== 0) throw failedWithStatus('read the start of process', String(processId), status);
  return times.readBigInt64LE(0); // LARGE_INTEGER CreateTime
}

/**
 * The processes that `target` means: a process id, the name of a program (`.exe` may be left out, case does not
 * matter), several of these with commas, or `all`. Each once, in the kernel's order. A name does not mean this very
 * process.
 *
 * @throws ProcessNotFoundError when any of them means no process that runs
 */
export function findProcesses(
  target: string,
  processes: readonly ProcessInfo[] = listProcesses(),
): readonly ProcessInfo[] {
  if (target.toLowerCase() === 'all') return processes;
  const found = new Set<ProcessInfo>();
  for (const part of target.split(',').map((text) => text.trim())) {
    for (const process of findNamed(part, processes)) found.add(process);
  }
  return processes.filter((process) => found.has(process));
}

/**
 * The one process that `target` means.
 *
 * @throws ProcessNotFoundError when it means none, or more than one
 */
export function findProcess(target: string, processes: readonly ProcessInfo[] = listProcesses()): ProcessInfo {
  const found = findNamed(target, processes);
  if (found.length === 1) return found[0]!;
  const ids = found.map(({ processId }) => processId);
  throw new ProcessNotFoundError(
    JSON.stringify(target),
    `${found.length} processes have that name`,
    `one of their ids: ${ids.join(', ')}`,
  );
}

function findNamed(wanted: string, processes: readonly ProcessInfo[]): readonly ProcessInfo[] {
  if (/^\d+$/.test(wanted)) {
    const processId = Number(wanted);
    const process = processes.find((candidate) => candidate.processId === processId);
    if (process !== undefined) return [process];
    throw new ProcessNotFoundError(wanted, whyNot(processId), 'unclosed handles all --count-only for a list');
  }
  const name = wanted.toLowerCase();
  const isNamed = (each: ProcessInfo): boolean => [name, `${name}.exe`].includes(each.name.toLowerCase());
  // A user who looks for node.exe does not mean this very process.
  const found = processes.filter((each) => isNamed(each) && each.processId !== process.pid);
  if (found.length > 0 && name !== '') return found;
  throw new ProcessNotFoundError(
    JSON.stringify(wanted),
    'no process of that name runs',
    'unclosed handles all --count-only for a list',
  );
}

/** The id of a process that has ended can be opened for as long as any process has a handle for it. */
function whyNot(processId: number): string {
  const raw = processId > 0xffff_ffff ? NULL_HANDLE : OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, processId);
  if (raw === 0n) return 'no process with that id runs';
  using process = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
  const exitCode = new Uint32Array(1);
  GetExitCodeProcess(process.asRawHandle(), exitCode);
  return `it has ended, with exit code ${exitCode[0]}`;
}

/**
 * Opens a process.
 *
 * https://learn.microsoft.com/windows/win32/procthread/process-security-and-access-rights
 *
 * @param label how an error calls the process; escaped by the caller
 * @throws Win32Error when Windows refuses
 */
export function openProcess(processId: number, access: number, label: string = String(processId)): OwnedHandle {
  const raw = OpenProcess(access, false, processId);
  if (raw === 0n) throw failed('open process', label, 'an elevated terminal');
  return HandleOrNull.fromRawHandle(raw).tryIntoOwned();
}

/**
 * Opens a process that was listed before, for a change to it.
 *
 * @param label how an error calls the process; escaped by the caller
 * @throws ProcessNotFoundError when it has ended: another process may have its id
 * @throws Win32Error when Windows refuses
 */
export function openListed(info: ProcessInfo, access: number, label: string): OwnedHandle {
  const opened = openProcess(info.processId, access, label);
  if (isStillListed(info)) return opened;
  opened[Symbol.dispose]();
  throw new ProcessNotFoundError(label, 'it has ended', 'unclosed handles all --count-only for a list');
}

/**
 * The whole path of a process' program, in the form `C:\…`; `undefined` where Windows has none.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION
 */
export function readImagePath(process: HANDLE): string | undefined {
  return queryImageName(process, 0);
}

const PROCESS_NAME_NATIVE = 1;

/**
 * The same in the form `\Device\HarddiskVolume3\…`. Windows keeps it for a process that has ended, and may refuse the
 * other form then; this has not been tried on Windows.
 *
 * https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-queryfullprocessimagenamew
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION
 */
export function readNativeImagePath(process: HANDLE): string | undefined {
  return queryImageName(process, PROCESS_NAME_NATIVE);
}

/** The path of the program of a process that may have ended, or may not be opened: `undefined` then. */
export function findImagePath(processId: number): string | undefined {
  const raw = OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION, false, processId);
  if (raw === 0n) return undefined;
  using process = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
  return readImagePath(process.asRawHandle()) ?? readNativeImagePath(process.asRawHandle());
}

function queryImageName(process: HANDLE, flags: number): string | undefined {
  const path = new Uint16Array(32_768);
  const length = new Uint32Array([path.length]);
  if (!QueryFullProcessImageNameW(process, flags, path, length)) return undefined;
  return Buffer.from(path.buffer, 0, Math.min(length[0]!, path.length) * 2).toString('utf16le') || undefined;
}
