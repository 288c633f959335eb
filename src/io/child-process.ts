import type { ChildProcess } from 'node:child_process';

import { PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE } from '../ffi/constants.ts';
import { OpenProcess } from '../ffi/kernel32.ts';
import type { OwnedHandle } from './handle.ts';
import { HandleOrNull } from './handle-or-null.ts';

/**
 * A handle of a child process that Node started.
 *
 * Node does not share its own handle, so this opens another one by process id. That is no race as long as Node has not
 * reported the child's exit: until then libuv holds a handle of the process (it closes it in uv__process_endgame of
 * src/win/process.c), and Windows does not reuse the id of a process that has an open handle. After that report it
 * would be a race, and this function refuses.
 *
 * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-openprocess
 *
 * @param access rights on the process; by default those to wait for it and to ask for its exit code
 * @throws Error when the child never started or its exit has been reported
 * @throws Win32Error when Windows refuses the access
 */
export function openChildProcess(
  child: ChildProcess,
  access: number = SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION,
): OwnedHandle {
  if (child.pid === undefined) throw new Error(`Cannot open child process ${child.spawnfile}: it was never started`);
  if (child.exitCode !== null || child.signalCode !== null) {
    const advice = "Try opening it before its 'exit' event.";
    throw new Error(`Cannot open child process ${child.pid}: it has exited, and its id may be another's. ${advice}`);
  }
  return HandleOrNull.fromRawHandle(OpenProcess(access, false, child.pid)).expect(
    'open child process',
    String(child.pid),
  );
}
