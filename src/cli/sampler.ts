import {
  ERROR_ACCESS_DENIED,
  PROCESS_QUERY_INFORMATION,
  PROCESS_QUERY_LIMITED_INFORMATION,
  SYNCHRONIZE,
} from '../ffi/constants.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { type OwnedHandle, SystemError } from '../io/index.ts';
import { readExitCode } from '../process/exit-code.ts';
import { countGuiObjects, type GuiObjectCounts } from '../process/gui-objects.ts';
import { openProcess, type ProcessInfo } from '../process/processes.ts';

/** The counts of a process at one moment. */
export interface Sample {
  /** Milliseconds since the first sample. */
  readonly timeMs: number;
  readonly handleCount: number;
  /** Handles by kernel type: a socket is a `File`. */
  readonly types: ReadonlyMap<string, number>;
  /** Absent where the numbers cannot be had: under Wine 8, and of a process that denies access. */
  readonly gui?: GuiObjectCounts;
}

/** Takes samples of one process. It keeps a handle of the process, so that no other process gets its id. */
export class Sampler implements Disposable {
  readonly #process: OwnedHandle;
  readonly #processId: number;
  readonly #mayAskAll: boolean;
  #startMs: number | undefined;

  /**
   * @param label the process's name in errors, escaped by the caller
   * @throws Win32Error when the process may not be opened
   */
  constructor({ processId }: ProcessInfo, label: string) {
    this.#processId = processId;
    const found = tryOpen(processId, PROCESS_QUERY_INFORMATION | SYNCHRONIZE, label);
    this.#mayAskAll = found !== undefined;
    this.#process = found ?? openProcess(processId, PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE, label);
  }

  /**
   * Counts the handles of the process now; `undefined` when it has ended.
   *
   * @throws NtStatusError when the kernel refuses
   */
  take(): Sample | undefined {
    const nowMs = performance.now();
    this.#startMs ??= nowMs;
    const table = HandleTable.readProcess(this.#process, this.#processId);
    const gui = this.#mayAskAll ? countGuiObjects(this.#process) : undefined;
    // While a process ends, its handles are being closed: such a count says nothing about the running process.
    if (this.hasEnded() || table.count === 0) return undefined;
    return {
      timeMs: nowMs - this.#startMs,
      handleCount: table.count,
      types: table.countByType(),
      ...(gui === undefined ? {} : { gui }),
    };
  }

  hasEnded(): boolean {
    return this.exitCode() !== undefined;
  }

  /** Unsigned; `undefined` while the process runs. */
  exitCode(): number | undefined {
    return readExitCode(this.#process, this.#processId);
  }

  [Symbol.dispose](): void {
    this.#process[Symbol.dispose]();
  }
}

function tryOpen(processId: number, access: number, label: string): OwnedHandle | undefined {
  try {
    return openProcess(processId, access, label);
  } catch (error) {
    if (error instanceof SystemError && error.code === ERROR_ACCESS_DENIED) return undefined;
    throw error;
  }
}
