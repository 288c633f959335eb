import { ERROR_ACCESS_DENIED } from '../ffi/constants.ts';
import {
  CreateProcessW,
  CreateProcessWAsync,
  DeleteProcThreadAttributeList,
  FreeEnvironmentStringsW,
  GetEnvironmentStringsW,
  GetLastError,
  InitializeProcThreadAttributeList,
  ResumeThread,
  TerminateProcess,
  UpdateProcThreadAttribute,
} from '../ffi/kernel32.ts';
import { addressOf } from '../ffi/library.ts';
import {
  type AsHandle,
  type BorrowedHandle,
  failed,
  NULL_HANDLE,
  OwnedHandle,
  type RawHandle,
  unsafeRawHandle,
} from '../io/index.ts';
import { buildCommandLine } from './command-line.ts';
import { readExitCode } from './exit-code.ts';
import { listModules, type Module } from './modules.ts';
import { refusedToStart } from './program.ts';
import { resumeProcess, suspendProcess } from './suspend.ts';
import type { StartedTarget } from './target.ts';
import { StoppedThreads, type WaitingThread } from './thread-stacks.ts';

const CREATE_SUSPENDED = 0x4;
const EXTENDED_STARTUPINFO_PRESENT = 0x8_0000;
const CREATE_UNICODE_ENVIRONMENT = 0x400;
const PROC_THREAD_ATTRIBUTE_HANDLE_LIST = 0x2_0002n;
const STARTF_USESTDHANDLES = 0x100;
/** STATUS_CONTROL_C_EXIT: the exit code of a program that Ctrl-C ends on Windows. */
const INTERRUPTED_EXIT_CODE = 0xc000_013a;

/**
 * With random addresses, where they cannot be switched off, Wine loses one new process of thousands before its first
 * instruction, and returns this error (docs/platform.md). Nothing has happened by then, and the next attempt is another
 * process.
 */
const ERROR_INTERNAL_ERROR = 1359;
const ATTEMPTS = 3;

/**
 * Windows refuses with this error to end a process that is ending already. It has no other reason to refuse: we have
 * every right to a process that we started.
 */

export interface SpawnOptions {
  /** Whole path of the program, in Windows' spelling. */
  readonly program: string;
  readonly args: readonly string[];
  /** The target's standard handles; inheritable. */
  readonly stdin: AsHandle;
  readonly stdout: AsHandle;
  readonly stderr: AsHandle;
}

const starts = new Set<Promise<StartedProcess>>();
const suspended = new Set<StartedProcess>();

/**
 * Ends every process that is still suspended before its first instruction. A tool that ends in the middle of its work
 * calls this. Processes that run go on.
 */
export async function endSuspendedProcesses(): Promise<void> {
  await Promise.allSettled(starts);
  for (const process of suspended) process[Symbol.dispose]();
}

/**
 * A process that the tool has started, suspended before its first instruction. Disposing of it ends it unless it was
 * {@link resume | resumed}: a suspended process is never left behind.
 */
export class StartedProcess implements StartedTarget {
  readonly pid: number;
  readonly origin = 'started';
  readonly command: readonly string[];
  readonly image: string;
  readonly #process: OwnedHandle;
  readonly #thread: OwnedHandle;
  #resumed = false;

  private constructor(pid: number, command: readonly string[], process: OwnedHandle, thread: OwnedHandle) {
    this.pid = pid;
    this.command = command;
    this.image = command[0] ?? '';
    this.#process = process;
    this.#thread = thread;
    suspended.add(this);
  }

  /**
   * Starts a program suspended, in the current directory and with the current environment. JavaScript goes on
   * meanwhile; a process that it starts by other means before this resolves may inherit the three handles, too.
   *
   * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw
   *
   * @throws Win32Error when Windows refuses
   */
  static async spawn(options: SpawnOptions): Promise<StartedProcess> {
    const start = StartedProcess.#start(options);
    starts.add(start);
    try {
      return await start;
    } finally {
      starts.delete(start);
    }
  }

  static async #start(options: SpawnOptions): Promise<StartedProcess> {
    const streams = [options.stdin, options.stdout, options.stderr].map((stream) => stream.asHandle().asRawHandle());
    using environment = new Environment();
    using inherited = new InheritedHandles([...new Set(streams.filter((handle) => handle !== NULL_HANDLE))]);
    const startup = Buffer.alloc(112); // STARTUPINFOEXW
    startup.writeUInt32LE(112, 0); // DWORD cb
    startup.writeUInt32LE(STARTF_USESTDHANDLES, 60); // DWORD dwFlags
    startup.writeBigInt64LE(streams[0] ?? NULL_HANDLE, 80); // HANDLE hStdInput
    startup.writeBigInt64LE(streams[1] ?? NULL_HANDLE, 88); // HANDLE hStdOutput
    startup.writeBigInt64LE(streams[2] ?? NULL_HANDLE, 96); // HANDLE hStdError
    startup.writeBigUInt64LE(inherited.address, 104); // LPPROC_THREAD_ATTRIBUTE_LIST lpAttributeList
    const information = Buffer.alloc(24); // PROCESS_INFORMATION
    const line = Buffer.from(`${buildCommandLine(options.program, options.args)}\0`, 'utf16le');
    const characters = new Uint16Array(line.buffer.slice(line.byteOffset, line.byteOffset + line.byteLength));
    const flags = CREATE_SUSPENDED | EXTENDED_STARTUPINFO_PRESENT | CREATE_UNICODE_ENVIRONMENT;
    const parameters = [
      options.program,
      characters,
      null,
      null,
      true,
      flags,
      environment.address,
      null,
      startup,
      information,
    ] as const;
    // Only the thread that called can read the error: the second attempt runs on this thread.
    let isStarted = await CreateProcessWAsync(...parameters);
    for (let attempt = 2; !isStarted; attempt++) {
      isStarted = CreateProcessW(...parameters);
      if (!isStarted && (GetLastError() !== ERROR_INTERNAL_ERROR || attempt === ATTEMPTS))
        throw refusedToStart(options.program);
    }
    const child = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(0))); // HANDLE hProcess
    const thread = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(8))); // HANDLE hThread
    return new StartedProcess(information.readUInt32LE(16), [options.program, ...options.args], child, thread);
  }

  asHandle(): BorrowedHandle {
    return this.#process.asHandle();
  }

  suspend(): boolean {
    return suspendProcess(this, this.pid) && this.exitCode() === undefined;
  }

  stopThreads(waiting: WaitingThread | undefined, areOthersEnded: boolean): StoppedThreads {
    return StoppedThreads.stop(this, this.pid, waiting, areOthersEnded);
  }

  resume(): void {
    if (this.#resumed) return resumeProcess(this, this.pid);
    if (ResumeThread(this.#thread.asRawHandle()) === 0xffff_ffff) throw failed('resume process', String(this.pid));
    this.#resumed = true;
    suspended.delete(this);
  }

  modules(): readonly Module[] {
    return listModules(this);
  }

  terminate(): void {
    if (TerminateProcess(this.#process.asRawHandle(), INTERRUPTED_EXIT_CODE)) return;
    if (GetLastError() !== ERROR_ACCESS_DENIED) throw failed('end process', String(this.pid));
  }

  exitCode(): number | undefined {
    return readExitCode(this, this.pid);
  }

  [Symbol.dispose](): void {
    suspended.delete(this);
    using _thread = this.#thread;
    using process = this.#process;
    if (!this.#resumed) TerminateProcess(process.asRawHandle(), 1);
  }
}

/** A copy of this process' current environment. */
class Environment implements Disposable {
  readonly address: bigint = GetEnvironmentStringsW();

  [Symbol.dispose](): void {
    FreeEnvironmentStringsW(this.address);
  }
}

/** An attribute list that makes a child inherit only these handles; it must live until the child has started. */
class InheritedHandles implements Disposable {
  readonly #list: Buffer;
  readonly #values: BigInt64Array;

  constructor(handles: readonly RawHandle[]) {
    this.#values = BigInt64Array.from(handles);
    const size = new BigUint64Array(1);
    InitializeProcThreadAttributeList(null, 1, 0, size); // fails, and says how much room it needs
    this.#list = Buffer.alloc(Number(size[0]));
    if (!InitializeProcThreadAttributeList(this.#list, 1, 0, size)) throw failed('make a list of', 'inherited handles');
    const sizeBytes = BigInt(this.#values.byteLength);
    if (
      sizeBytes > 0n &&
      !UpdateProcThreadAttribute(this.#list, 0, PROC_THREAD_ATTRIBUTE_HANDLE_LIST, this.#values, sizeBytes, null, null)
    ) {
      throw failed('make a list of', 'inherited handles');
    }
  }

  /** True until it is disposed of. */
  get address(): bigint {
    return addressOf(this.#list);
  }

  [Symbol.dispose](): void {
    DeleteProcThreadAttributeList(this.#list);
  }
}
