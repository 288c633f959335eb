import { PROCESS_DUP_HANDLE, PROCESS_QUERY_INFORMATION } from '../ffi/constants.ts';
import { type AsHandle, type OwnedHandle, SystemError } from '../io/index.ts';
import { openProcess } from '../process/processes.ts';

/** Opens processes to examine their handles, each once, and remembers why some could not be opened. */
export class OpenedProcesses implements Disposable {
  readonly #processes = new Map<number, OwnedHandle | string>();

  /**
   * The process, opened with PROCESS_DUP_HANDLE, and with PROCESS_QUERY_INFORMATION if that is allowed; `undefined` if
   * it cannot be opened.
   */
  tryGet(processId: number): AsHandle | undefined {
    const process = this.#open(processId);
    return typeof process === 'string' ? undefined : process;
  }

  /** `access is denied (ERROR_ACCESS_DENIED 5)`. */
  problem(processId: number): string | undefined {
    const process = this.#open(processId);
    return typeof process === 'string' ? process : undefined;
  }

  [Symbol.dispose](): void {
    for (const process of this.#processes.values()) {
      if (typeof process !== 'string') process[Symbol.dispose]();
    }
  }

  #open(processId: number): OwnedHandle | string {
    let process = this.#processes.get(processId);
    if (process === undefined) {
      process = tryOpen(processId, [PROCESS_DUP_HANDLE | PROCESS_QUERY_INFORMATION, PROCESS_DUP_HANDLE]);
      this.#processes.set(processId, process);
    }
    return process;
  }
}

function tryOpen(processId: number, accesses: readonly number[]): OwnedHandle | string {
  let problem = '';
  for (const access of accesses) {
    try {
      return openProcess(processId, access);
    } catch (error) {
      if (!(error instanceof SystemError)) throw error;
      problem = `${error.reason} (${error.codeName ?? ''} ${error.code})`;
    }
  }
  return problem;
}
