import { CreateJobObjectW, SetInformationJobObject } from '../../ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, failed, HandleOrNull, type OwnedHandle } from '../../io/index.ts';

const JobObjectExtendedLimitInformation = 9; // JOBOBJECTINFOCLASS
const JOB_OBJECT_LIMIT_BREAKAWAY_OK = 0x800;
const JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK = 0x1000;
const JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE = 0x2000;
/** The children of the process are in no job of ours. */
const NEVER_OF_CHILDREN = JOB_OBJECT_LIMIT_BREAKAWAY_OK | JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK;

/**
 * A bond between a process and this one, tight at first. While it is tight, the kernel ends the process when this one
 * ends, however that happens: a process that stands suspended would else stand for ever.
 *
 * It is a job, which the process enters as it is created. It stays in it when the bond is loose; the job limits nothing
 * then, and its children are not in it.
 *
 * https://learn.microsoft.com/windows/win32/procthread/job-objects
 */
export class Bond implements AsHandle, Disposable {
  readonly #job: OwnedHandle;

  /** @throws Win32Error when Windows refuses */
  constructor() {
    this.#job = HandleOrNull.fromRawHandle(CreateJobObjectW(null, null)).expect('create a job for', 'the target');
    try {
      this.tighten();
    } catch (error) {
      this.#job[Symbol.dispose]();
      throw error;
    }
  }

  /** The job, for PROC_THREAD_ATTRIBUTE_JOB_LIST. */
  asHandle(): BorrowedHandle {
    return this.#job.asHandle();
  }

  /** @throws Win32Error when Windows refuses */
  tighten(): void {
    this.#limit(NEVER_OF_CHILDREN | JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE);
  }

  /** @throws Win32Error when Windows refuses */
  loosen(): void {
    this.#limit(NEVER_OF_CHILDREN);
  }

  #limit(flags: number): void {
    const limits = Buffer.alloc(144); // JOBOBJECT_EXTENDED_LIMIT_INFORMATION
    limits.writeUInt32LE(flags, 16); // DWORD BasicLimitInformation.LimitFlags
    const job = this.#job.asRawHandle();
    if (!SetInformationJobObject(job, JobObjectExtendedLimitInformation, limits, limits.length))
      throw failed('set the limits of the job of', 'the target');
  }

  /** Ends the process if the bond is tight. */
  [Symbol.dispose](): void {
    this.#job[Symbol.dispose]();
  }
}
