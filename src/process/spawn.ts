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
import { Bond } from './guardian/bond.ts';
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
const PROC_THREAD_ATTRIBUTE_JOB_LIST = 0x2_000dn;
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
  /** Tight while the process stands suspended. */
  readonly #bond: Bond;
  #resumed = false;

  private constructor(
    pid: number,
    command: readonly string[],
    { process, thread, bond }: Readonly<Record<'process' | 'thread', OwnedHandle>> & { readonly bond: Bond },
  ) {
    this.pid = pid;
    this.command = command;
    this.image = command[0] ?? '';
    this.#process = process;
    this.#thread = thread;
    this.#bond = bond;
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
    const bond = new Bond();
    try {
      return await StartedProcess.#startInto(bond, options);
    } catch (error) {
      bond[Symbol.dispose]();
      throw error;
    }
  }

  static async #startInto(bond: Bond, options: SpawnOptions): Promise<StartedProcess> {
    const streams = [options.stdin, options.stdout, options.stderr].map((stream) => stream.asHandle().asRawHandle());
    using environment = new Environment();
    using attributes = new StartAttributes([
      [PROC_THREAD_ATTRIBUTE_JOB_LIST, [bond.asHandle().asRawHandle()]],
      [PROC_THREAD_ATTRIBUTE_HANDLE_LIST, [...new Set(streams.filter((handle) => handle !== NULL_HANDLE))]],
    ]);
    const startup = Buffer.alloc(112); // STARTUPINFOEXW
    startup.writeUInt32LE(112, 0); // DWORD cb
    startup.writeUInt32LE(STARTF_USESTDHANDLES, 60); // DWORD dwFlags
    startup.writeBigInt64LE(streams[0] ?? NULL_HANDLE, 80); // HANDLE hStdInput
    startup.writeBigInt64LE(streams[1] ?? NULL_HANDLE, 88); // HANDLE hStdOutput
    startup.writeBigInt64LE(streams[2] ?? NULL_HANDLE, 96); // HANDLE hStdError
    startup.writeBigUInt64LE(attributes.address, 104); // LPPROC_THREAD_ATTRIBUTE_LIST lpAttributeList
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
    const process = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(0))); // HANDLE hProcess
    const thread = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(8))); // HANDLE hThread
    const pid = information.readUInt32LE(16);
    return new StartedProcess(pid, [options.program, ...options.args], { process, thread, bond });
  }

  asHandle(): BorrowedHandle {
    return this.#process.asHandle();
  }

  /** The process ends with this one until it is {@link resume | resumed}. */
  suspend(): boolean {
    this.#bond.tighten();
    return suspendProcess(this, this.pid) && this.exitCode() === undefined;
  }

  stopThreads(waiting: WaitingThread | undefined, areOthersEnded: boolean): StoppedThreads {
    return StoppedThreads.stop(this, this.pid, waiting, areOthersEnded);
  }

  resume(): void {
    if (this.#resumed) resumeProcess(this, this.pid);
    else if (ResumeThread(this.#thread.asRawHandle()) === 0xffff_ffff) throw failed('resume process', String(this.pid));
    this.#resumed = true;
    suspended.delete(this);
    this.#bond.loosen();
  }

  modules(isStanding = false): readonly Module[] {
    return listModules(this, isStanding);
  }

  terminate(): void {
    if (TerminateProcess(this.#process.asRawHandle(), INTERRUPTED_EXIT_CODE)) return;
    // Windows refuses to end a process that is ending already. It has no other reason: we have every right to it.
    if (GetLastError() !== ERROR_ACCESS_DENIED) throw failed('end process', String(this.pid));
  }

  exitCode(): number | undefined {
    return readExitCode(this, this.pid);
  }

  [Symbol.dispose](): void {
    suspended.delete(this);
    using _bond = this.#bond;
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

type StartAttribute = readonly [attribute: bigint, handles: readonly RawHandle[]];

/**
 * The attributes that a child is created with: the only handles that it inherits, and its job. They must live until the
 * child has started.
 */
class StartAttributes implements Disposable {
  readonly #list: Buffer;
  /** The list refers to them. */
  readonly #values: readonly (readonly [attribute: bigint, handles: BigInt64Array])[];

  constructor(attributes: readonly StartAttribute[]) {
    this.#values = attributes.map(([attribute, handles]) => [attribute, BigInt64Array.from(handles)]);
    const size = new BigUint64Array(1);
    InitializeProcThreadAttributeList(null, attributes.length, 0, size); // fails, and says how much room it needs
    this.#list = Buffer.alloc(Number(size[0]));
    if (!InitializeProcThreadAttributeList(this.#list, attributes.length, 0, size)) throw failedToList();
    for (const [attribute, handles] of this.#values) {
      const sizeBytes = BigInt(handles.byteLength);
      if (sizeBytes > 0n && !UpdateProcThreadAttribute(this.#list, 0, attribute, handles, sizeBytes, null, null))
        throw failedToList();
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

function failedToList(): Error {
  return failed('make a list of', 'the attributes of the target');
}
