import { PROCESS_SUSPEND_RESUME, PROCESS_VM_OPERATION } from '../../ffi/constants.ts';
import {
  CloseHandle,
  MapViewOfFile,
  OpenProcess,
  OpenThread,
  ResumeThread,
  SuspendThread,
} from '../../ffi/kernel32.ts';
import { type HANDLE, viewMemory } from '../../ffi/library.ts';
import { NtResumeProcess } from '../../ffi/ntdll.ts';
import { listThreadIds } from '../process-table.ts';
import { fillHole } from './hole.ts';
import { StopNotes } from './stop-notes.ts';

// The guardian's process runs this module: see process-table.ts.

const FILE_MAP_READ = 0x4;
const THREAD_SUSPEND_RESUME = 0x2;
const SUSPEND_FAILED = 0xffff_ffff;

/** Makes this process the guardian of the auditor that started it, until the auditor ends. */
export function serveAsGuardian(): void {
  let notes: StopNotes | undefined;
  process.on('message', (section: string) => {
    const view = MapViewOfFile(BigInt(section) as HANDLE, FILE_MAP_READ, 0, 0, BigInt(StopNotes.SIZE_BYTES));
    if (view !== 0n) notes = new StopNotes(viewMemory(view, StopNotes.SIZE_BYTES));
    process.send!(view !== 0n);
  });
  process.on('disconnect', () => {
    try {
      if (notes !== undefined) letGo(notes);
    } finally {
      process.exit(0);
    }
  });
}

/** Lets the target run on if the auditor had stopped it when it ended. */
function letGo({ processId, state, hole }: StopNotes): void {
  // The auditor may have ended before or after it stopped the target: then all of its threads are stopped.
  if (state === 'running' || (state === 'beginning' && !listThreadIds(processId).every(isStopped))) return;
  const target = OpenProcess(PROCESS_SUSPEND_RESUME | PROCESS_VM_OPERATION, false, processId);
  if (target === 0n) return;
  if (hole !== undefined) fillHole(target, hole); // the agent writes there
  NtResumeProcess(target);
  CloseHandle(target);
}

/** Whether a thread does not run: the count of its suspensions comes with one more, which is taken back. */
function isStopped(threadId: number): boolean {
  const thread = OpenThread(THREAD_SUSPEND_RESUME, false, threadId);
  if (thread === 0n) return true; // it has ended
  const before = SuspendThread(thread);
  if (before !== SUSPEND_FAILED) ResumeThread(thread);
  CloseHandle(thread);
  return before !== 0;
}
