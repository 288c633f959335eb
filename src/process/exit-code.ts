import { WAIT_OBJECT_0, WAIT_TIMEOUT } from '../ffi/constants.ts';
import { GetExitCodeProcess, WaitForSingleObject } from '../ffi/kernel32.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed } from '../io/system-error.ts';

const STATUS_STACK_BUFFER_OVERRUN = 0xc0000409;
const STATUS_HEAP_CORRUPTION = 0xc0000374;

/**
 * Whether `int 29h` ended a process, past all handlers. The first code stands for most of its reasons.
 * https://learn.microsoft.com/cpp/intrinsics/fastfail
 */
export function failedFast(exitCode: number | undefined): boolean {
  return exitCode === STATUS_STACK_BUFFER_OVERRUN || exitCode === STATUS_HEAP_CORRUPTION;
}

/**
 * The exit code of a process, unsigned; `undefined` while it runs.
 *
 * @param process opened with SYNCHRONIZE and PROCESS_QUERY_LIMITED_INFORMATION
 * @throws Win32Error when Windows does not say whether it runs, or does not give it
 */
export function readExitCode(process: AsHandle, processId: number): number | undefined {
  const raw = process.asHandle().asRawHandle();
  const result = WaitForSingleObject(raw, 0);
  if (result === WAIT_TIMEOUT) return undefined;
  if (result !== WAIT_OBJECT_0) throw failed('see', `whether process ${processId} has ended`);
  const code = new Uint32Array(1);
  if (!GetExitCodeProcess(raw, code)) throw failed('read the exit code of process', String(processId));
  return code[0];
}
