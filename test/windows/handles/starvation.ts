import { setTimeout as sleep } from 'node:timers/promises';

import { OpenProcess } from '../../../src/ffi/kernel32.ts';
import { HANDLE, loadLibrary, NTSTATUS } from '../../../src/ffi/library.ts';
import { HandleOrNull, type OwnedHandle } from '../../../src/io/index.ts';

const ntdll = loadLibrary('ntdll.dll');
const NtSuspendProcess: (process: HANDLE) => number = ntdll.define('NtSuspendProcess', NTSTATUS, [HANDLE]);
const NtResumeProcess: (process: HANDLE) => number = ntdll.define('NtResumeProcess', NTSTATUS, [HANDLE]);
const PROCESS_SUSPEND_RESUME = 0x800;

/** Stops all threads of a process, for good. */
export function suspend(processId: number): void {
  using opened = openForSuspension(processId);
  stop(opened);
}

/** Stops all threads of a process for a while. */
export async function standStill(processId: number, durationMs: number): Promise<void> {
  using opened = openForSuspension(processId);
  stop(opened);
  await sleep(durationMs);
  NtResumeProcess(opened.asRawHandle());
}

function openForSuspension(processId: number): OwnedHandle {
  return HandleOrNull.fromRawHandle(OpenProcess(PROCESS_SUSPEND_RESUME, false, processId)).expect(
    'open process',
    String(processId),
  );
}

function stop(process: OwnedHandle): void {
  const status = NtSuspendProcess(process.asRawHandle());
  if (status !== 0) throw new Error(`Cannot suspend a process: 0x${status.toString(16)}`);
}

/** The share of time that {@link starve} leaves to a process. */
export interface Share {
  readonly runMs: number;
  readonly standMs: number;
}

/**
 * Lets a process run for a part of the time only, as on a machine where others have the processors, until `work` has
 * settled.
 *
 * @returns what `work` came to, and how often the process stood still
 */
export async function starve<T>(
  processId: number,
  { runMs, standMs }: Share,
  work: Promise<T>,
): Promise<{ readonly result: T; readonly pauses: number }> {
  using opened = openForSuspension(processId);
  let isOver = false;
  const settled = work.finally(() => (isOver = true));
  let pauses = 0;
  for (; !isOver; pauses++) {
    // It may have ended by itself: then `work` says what came of it.
    NtSuspendProcess(opened.asRawHandle());
    await sleep(standMs);
    NtResumeProcess(opened.asRawHandle());
    await Promise.race([sleep(runMs), settled.catch(() => undefined)]);
  }
  return { result: await settled, pauses };
}
