import { setTimeout as sleep } from 'node:timers/promises';

import { PROCESS_QUERY_INFORMATION } from '../../dist/ffi/constants.js';
import { OpenThread, ResumeThread, SuspendThread, VirtualQueryEx } from '../../dist/ffi/kernel32.js';
import { HandleOrNull } from '../../dist/io/index.js';
import { listThreadIds } from '../../dist/process/process-table.js';
import { listProcesses, openProcess } from '../../dist/process/processes.js';

const THREAD_SUSPEND_RESUME = 0x2;
const SUSPEND_FAILED = 0xffff_ffff;
const MEM_COMMIT = 0x1000;

/**
 * How many threads of a process are suspended: the count comes with one suspension more, which is taken back.
 *
 * @param {number} pid
 */
export function countSuspended(pid) {
  let suspended = 0;
  for (const threadId of listThreadIds(pid)) {
    const raw = OpenThread(THREAD_SUSPEND_RESUME, false, threadId);
    if (raw === 0n) continue; // it has ended
    const thread = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
    const before = SuspendThread(thread.asRawHandle());
    if (before !== SUSPEND_FAILED) ResumeThread(thread.asRawHandle());
    if (before !== SUSPEND_FAILED && before > 0) suspended += 1;
    thread[Symbol.dispose]();
  }
  return suspended;
}

/**
 * Whether a process works on, seen by the time that its threads take.
 *
 * @param {number} pid
 */
export async function works(pid) {
  const before = processorTimeOf(pid);
  for (let tries = 0; tries < 1000; tries += 1) {
    await sleep(20);
    if (processorTimeOf(pid) > before) return true;
  }
  return false;
}

/** @param {number} pid */
function processorTimeOf(pid) {
  return listProcesses().find(({ processId }) => processId === pid)?.processorTime ?? 0n;
}

/** The most memory that this process has had, in MB. */
export function ownPeakMB() {
  return (listProcesses().find(({ processId }) => processId === process.pid)?.peakWorkingSetBytes ?? 0) / 1e6;
}

/** @param {number} pid */
export function committedMB(pid) {
  const process = openProcess(pid, PROCESS_QUERY_INFORMATION);
  try {
    let sizeBytes = 0;
    for (let address = 0n; ; ) {
      const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
      if (VirtualQueryEx(process.asRawHandle(), address, region, 48n) === 0n) return sizeBytes / 1e6;
      if (region.readUInt32LE(32) === MEM_COMMIT) sizeBytes += Number(region.readBigUInt64LE(24));
      address = region.readBigUInt64LE(0) + region.readBigUInt64LE(24);
    }
  } finally {
    process[Symbol.dispose]();
  }
}
