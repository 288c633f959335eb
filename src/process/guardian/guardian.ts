import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { extname, join } from 'node:path';

import { DUPLICATE_SAME_ACCESS, PROCESS_DUP_HANDLE } from '../../ffi/constants.ts';
import { CreateFileMappingW, DuplicateHandle, MapViewOfFile, UnmapViewOfFile } from '../../ffi/kernel32.ts';
import { viewMemory } from '../../ffi/library.ts';
import { CleanupStack } from '../../io/cleanup-stack.ts';
import { CURRENT_PROCESS, failed, HandleOrNull, type OwnedHandle } from '../../io/index.ts';
import { UserError } from '../../user-error.ts';
import { openProcess } from '../processes.ts';
import { StopNotes } from './stop-notes.ts';

const PAGE_READWRITE = 0x04;
const FILE_MAP_WRITE = 0x2;

/** The guardian has ended: without it no thread may be stopped. */
class GuardianError extends UserError {
  constructor() {
    super(
      'Cannot stop the target: the process that would let it run on, should this one end, has ended itself. Try again.',
    );
  }
}

/**
 * A second process that lets the threads of a target run on when the auditor ends while it has them stopped.
 *
 * A stopped process whose auditor is killed would stand still for ever: Windows counts suspensions, and does not take
 * back those of a process that has ended. (NtChangeProcessState does, but is new in Windows 11.) So the auditor notes
 * every thread that it stops in memory that it shares with the guardian, which hears of the auditor's end by the end of
 * their channel.
 */
export class Guardian implements Disposable {
  readonly notes: StopNotes;
  readonly #child: ChildProcess;
  readonly #section: OwnedHandle;
  readonly #view: bigint;
  #isReady = false;
  #hasEnded = false;

  /**
   * Starts one, and resolves when it is on guard.
   *
   * @throws Win32Error when there is no memory for the notes
   * @throws GuardianError when it cannot
   */
  static async start(): Promise<Guardian> {
    const guardian = new Guardian();
    try {
      await guardian.ready();
      return guardian;
    } catch (error) {
      guardian[Symbol.dispose]();
      throw error;
    }
  }

  /** @throws Win32Error when there is no memory for the notes */
  constructor(script: string = guardianScript()) {
    using taken = new CleanupStack();
    const raw = CreateFileMappingW(CURRENT_PROCESS, null, PAGE_READWRITE, 0, StopNotes.SIZE_BYTES, null);
    this.#section = taken.use(HandleOrNull.fromRawHandle(raw).expect('create', 'the notes for the guardian'));
    this.#view = MapViewOfFile(this.#section.asRawHandle(), FILE_MAP_WRITE, 0, 0, 0n);
    if (this.#view === 0n) throw failed('map', 'the notes for the guardian');
    taken.use({ [Symbol.dispose]: () => UnmapViewOfFile(this.#view) });
    this.notes = new StopNotes(viewMemory(this.#view, StopNotes.SIZE_BYTES));
    // Detached: Ctrl-C is not meant for it, and Node.js ends its other children with itself, by a job object.
    this.#child = spawn(process.execPath, ['--no-warnings', script], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      windowsHide: true,
      detached: true,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    const note = (): void => {
      this.#hasEnded = true;
    };
    this.#child.on('error', note).on('exit', note);
    this.#child.unref();
    this.#child.channel?.unref();
    taken.disarm();
  }

  /**
   * Resolves when it guards.
   *
   * @throws GuardianError when it cannot
   */
  async ready(): Promise<void> {
    const child = this.#child;
    if (this.#hasEnded || child.pid === undefined) throw new GuardianError();
    using guardian = openProcess(child.pid, PROCESS_DUP_HANDLE);
    const value = new BigUint64Array(1);
    const [from, to] = [this.#section.asRawHandle(), guardian.asRawHandle()];
    if (!DuplicateHandle(CURRENT_PROCESS, from, to, value, 0, false, DUPLICATE_SAME_ACCESS))
      throw failed('give', 'the notes to the guardian');
    child.ref();
    child.channel?.ref();
    child.send(String(value[0]));
    const [answer] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
    child.unref();
    child.channel?.unref();
    this.#isReady = answer === true;
    if (!this.#isReady) throw new GuardianError();
  }

  /** @throws GuardianError when no process would let stopped threads run on */
  check(): void {
    if (!this.#isReady || this.#hasEnded) throw new GuardianError();
  }

  [Symbol.dispose](): void {
    using _section = this.#section;
    if (this.#child.connected) this.#child.disconnect();
    UnmapViewOfFile(this.#view);
  }
}

/** The guardian's script is beside this file: TypeScript or compiled, as this file is. */
function guardianScript(): string {
  return join(import.meta.dirname, `guardian-main${extname(import.meta.filename)}`);
}
