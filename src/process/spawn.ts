import { CreateProcessW, GetExitCodeProcess, ResumeThread, TerminateProcess, WaitForSingleObject } from '../ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, failed, OwnedHandle, unsafeRawHandle } from '../io/index.ts';
import { buildCommandLine } from './command-line.ts';

const CREATE_SUSPENDED = 0x4;
const STARTF_USESTDHANDLES = 0x100;
const WAIT_OBJECT_0 = 0;

export interface SpawnOptions {
  /** Whole path of the program, as Windows spells it. */
  readonly program: string;
  readonly args: readonly string[];
  /** What the target gets as its standard handles; inheritable. */
  readonly stdin: AsHandle;
  readonly stdout: AsHandle;
  readonly stderr: AsHandle;
}

/**
 * A process that has not run its first instruction yet. Unless it was {@link resume | resumed}, disposing of it ends it: a
 * suspended process is never left behind.
 */
export class SuspendedProcess implements Disposable {
  readonly pid: number;
  readonly command: readonly string[];
  readonly #process: OwnedHandle;
  readonly #thread: OwnedHandle;
  #resumed = false;

  private constructor(pid: number, command: readonly string[], process: OwnedHandle, thread: OwnedHandle) {
    this.pid = pid;
    this.command = command;
    this.#process = process;
    this.#thread = thread;
  }

  /**
   * Starts a program suspended, in the current directory and with the current environment.
   *
   * https://learn.microsoft.com/windows/win32/api/processthreadsapi/nf-processthreadsapi-createprocessw
   *
   * @throws Win32Error when Windows refuses
   */
  static spawn(options: SpawnOptions): SuspendedProcess {
    const startup = Buffer.alloc(104); // STARTUPINFOW
    startup.writeUInt32LE(104, 0); // DWORD cb
    startup.writeUInt32LE(STARTF_USESTDHANDLES, 60); // DWORD dwFlags
    startup.writeBigInt64LE(options.stdin.asHandle().asRawHandle(), 80); // HANDLE hStdInput
    startup.writeBigInt64LE(options.stdout.asHandle().asRawHandle(), 88); // HANDLE hStdOutput
    startup.writeBigInt64LE(options.stderr.asHandle().asRawHandle(), 96); // HANDLE hStdError
    const information = Buffer.alloc(24); // PROCESS_INFORMATION
    const line = Buffer.from(`${buildCommandLine(options.program, options.args)}\0`, 'utf16le');
    const characters = new Uint16Array(line.buffer.slice(line.byteOffset, line.byteOffset + line.byteLength));
    if (!CreateProcessW(options.program, characters, null, null, true, CREATE_SUSPENDED, null, null, startup, information)) {
      throw failed('start', JSON.stringify(options.program));
    }
    const process = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(0))); // HANDLE hProcess
    const thread = OwnedHandle.fromRawHandle(unsafeRawHandle(information.readBigInt64LE(8))); // HANDLE hThread
    return new SuspendedProcess(information.readUInt32LE(16), [options.program, ...options.args], process, thread);
  }

  asHandle(): BorrowedHandle {
    return this.#process.asHandle();
  }

  /**
   * Lets the target run.
   *
   * @throws Win32Error when Windows refuses
   */
  resume(): void {
    if (ResumeThread(this.#thread.asRawHandle()) === 0xffff_ffff) throw failed('resume process', String(this.pid));
    this.#resumed = true;
  }

  /** The exit code once the process has ended, unsigned. */
  exitCode(): number | undefined {
    if (WaitForSingleObject(this.#process.asRawHandle(), 0) !== WAIT_OBJECT_0) return undefined;
    const code = new Uint32Array(1);
    if (!GetExitCodeProcess(this.#process.asRawHandle(), code)) throw failed('read the exit code of process', String(this.pid));
    return code[0];
  }

  [Symbol.dispose](): void {
    using _thread = this.#thread;
    using process = this.#process;
    if (!this.#resumed) TerminateProcess(process.asRawHandle(), 1);
  }
}
