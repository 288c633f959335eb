import { WAIT_OBJECT_0 } from '../ffi/constants.ts';
import { GetExitCodeProcess, WaitForSingleObject } from '../ffi/kernel32.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed } from '../io/system-error.ts';

/**
 * The exit code of a process, unsigned; `undefined` while it runs.
 *
 * @param process opened with SYNCHRONIZE and PROCESS_QUERY_LIMITED_INFORMATION
 * @throws Win32Error when Windows does not give it
 */
export function readExitCode(process: AsHandle, processId: number): number | undefined {
  const raw = process.asHandle().asRawHandle();
  if (WaitForSingleObject(raw, 0) !== WAIT_OBJECT_0) return undefined;
  const code = new Uint32Array(1);
  if (!GetExitCodeProcess(raw, code)) throw failed('read the exit code of process', String(processId));
  return code[0];
}
