import { win32 } from 'node:path';

import {
  PROCESS_QUERY_LIMITED_INFORMATION,
  ProcessBasicInformation,
  STATUS_PENDING,
  SYNCHRONIZE,
  WAIT_OBJECT_0,
  WAIT_TIMEOUT,
} from '../ffi/constants.ts';
import { WaitForSingleObject } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { NtQueryInformationProcess, NtQueryInformationThread } from '../ffi/ntdll.ts';
import type { AsHandle } from '../io/handle.ts';
import { findImagePath, readImagePath, readNativeImagePath } from '../process/processes.ts';
import { withDuplicate } from './duplicate.ts';

/** The process or thread behind a handle, as far as the kernel says. */
export interface ProcessObject {
  readonly processId?: number;
  /** Present for a thread. */
  readonly threadId?: number;
  /** The program that the process runs: a path in the form `C:\…`, or `\Device\…` where Windows has only that. */
  readonly imagePath?: string;
  /** Whether the process or thread has ended, so that only handles such as this one keep it in memory. */
  readonly ended?: boolean;
  /** Unsigned; present once it has ended. */
  readonly exitCode?: number;
  /** FILETIME at which a thread ended. */
  readonly endedTime?: bigint;
}

const THREAD_QUERY_LIMITED_INFORMATION = 0x0800;
const ThreadBasicInformation = 0;
const ThreadTimes = 1;

/** Finds the process or thread behind a handle of another process. */
export function queryProcessObject(process: AsHandle, value: bigint, type: 'Process' | 'Thread'): ProcessObject {
  const query = type === 'Process' ? PROCESS_QUERY_LIMITED_INFORMATION : THREAD_QUERY_LIMITED_INFORMATION;
  // Windows may grant us the right to ask even if the handle does not have it.
  for (const access of [query | SYNCHRONIZE, undefined, query]) {
    const answer = withDuplicate(process, value, access, type === 'Process' ? describeProcess : describeThread);
    if (answer !== undefined && !('code' in answer)) return answer;
  }
  return {};
}

/**
 * `app.exe (4242)`, `thread 17 of app.exe (4242)`, whether it still runs or has ended; `process 4242` only where the
 * kernel does not say which program it is. The image's name comes from the target: escape it.
 */
export function nameProcessObject({ processId, threadId, imagePath }: ProcessObject): string | undefined {
  if (processId === undefined) return undefined;
  const process = imagePath === undefined ? `process ${processId}` : `${win32.basename(imagePath)} (${processId})`;
  return threadId === undefined ? process : `thread ${threadId} of ${process}`;
}

function describeProcess(handle: HANDLE): ProcessObject | undefined {
  // typedef struct _PROCESS_BASIC_INFORMATION: +0 NTSTATUS ExitStatus, +32 ULONG_PTR UniqueProcessId; 48 bytes
  const basic = Buffer.alloc(48);
  if (NtQueryInformationProcess(handle, ProcessBasicInformation, basic, 48, null) !== 0) return undefined;
  const imagePath = readImagePath(handle) ?? readNativeImagePath(handle);
  return {
    processId: basic.readUInt32LE(32),
    ...(imagePath === undefined ? {} : { imagePath }),
    ...readFate(handle, basic.readUInt32LE(0)),
  };
}

function describeThread(handle: HANDLE): ProcessObject | undefined {
  // typedef struct _THREAD_BASIC_INFORMATION: +0 NTSTATUS ExitStatus, +16 CLIENT_ID { process, thread }; 48 bytes
  const basic = Buffer.alloc(48);
  if (NtQueryInformationThread(handle, ThreadBasicInformation, basic, 48, null) !== 0) return undefined;
  const fate = readFate(handle, basic.readUInt32LE(0));
  const processId = basic.readUInt32LE(16);
  // No other process can have that id: a thread holds its process, and a process holds its id, as long as handles such
  // as ours keep them in memory, even after both have ended [ran, Wine 8].
  const imagePath = findImagePath(processId);
  return {
    processId,
    threadId: basic.readUInt32LE(24),
    ...(imagePath === undefined ? {} : { imagePath }),
    ...fate,
    ...(fate.ended === true ? readEndedTime(handle) : {}),
  };
}

function readEndedTime(thread: HANDLE): { endedTime?: bigint } {
  const times = Buffer.alloc(32); // KERNEL_USER_TIMES: +8 LARGE_INTEGER ExitTime
  if (NtQueryInformationThread(thread, ThreadTimes, times, 32, null) !== 0) return {};
  return { endedTime: times.readBigInt64LE(8) };
}

/** The object itself is asked first, because a program may end with exit status 259 (STATUS_PENDING). */
function readFate(handle: HANDLE, exitStatus: number): { ended?: boolean; exitCode?: number } {
  const wait = WaitForSingleObject(handle, 0);
  if (wait === WAIT_OBJECT_0) return { ended: true, exitCode: exitStatus };
  if (wait === WAIT_TIMEOUT) return { ended: false };
  return exitStatus === STATUS_PENDING ? {} : { ended: true, exitCode: exitStatus };
}
