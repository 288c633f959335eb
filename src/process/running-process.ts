import {
  ERROR_ACCESS_DENIED,
  PROCESS_DUP_HANDLE,
  PROCESS_QUERY_INFORMATION,
  PROCESS_SUSPEND_RESUME,
  PROCESS_VM_OPERATION,
  PROCESS_VM_READ,
  SYNCHRONIZE,
} from '../ffi/constants.ts';
import { GetLastError, OpenProcess, VirtualAllocEx, WriteProcessMemory } from '../ffi/kernel32.ts';
import { type BorrowedHandle, failed, HandleOrNull, type OwnedHandle } from '../io/index.ts';
import { nameOfWin32Code } from '../io/error-names.ts';
import { escapeText } from '../text/escape.ts';
import { UserError } from '../user-error.ts';
import { readExitCode } from './exit-code.ts';
import { insertArguments, parseCommandLine } from './command-line.ts';
import { EnvironmentBlock } from './environment/environment-block.ts';
import { listFirstModules, listModules, type Module } from './modules.ts';
import { isStillListed, type ProcessInfo, readImagePath } from './processes.ts';
import type { Target } from './target.ts';
import { StoppedThreads, type WaitingThread } from './thread-stacks.ts';

const PROCESS_VM_WRITE = 0x20;
const ACCESS =
  SYNCHRONIZE |
  PROCESS_SUSPEND_RESUME |
  PROCESS_VM_OPERATION |
  PROCESS_VM_READ |
  PROCESS_VM_WRITE |
  PROCESS_DUP_HANDLE |
  PROCESS_QUERY_INFORMATION;
const ERROR_INVALID_PARAMETER = 87;

const IMAGE_FILE_MACHINE_I386 = 0x14c;
const IMAGE_FILE_MACHINE_ARM64 = 0xaa64;
const IMAGE_FILE_MACHINE_AMD64 = 0x8664;

const MEM_COMMIT_RESERVE = 0x3000;
const PAGE_READWRITE = 0x04;

/** A UNICODE_STRING has no more characters, with the 0 at its end. */
const LENGTH_MAX = 0x7fff;

/** A process that is not opened yet. Its name may be hostile. */
type Named = Pick<ProcessInfo, 'processId' | 'name'>;

/** A process that cannot be attached to. */
export class AttachError extends UserError {
  /** Why, without the process and the advice. */
  readonly why: string;

  constructor({ processId, name }: Named, why: string, advice: string) {
    super(`Cannot attach to process ${processId} (${escapeText(name, true)}): ${why}. Try ${advice}.`);
    this.why = why;
  }
}

/**
 * A process that the tool has not started: one that ran before the tool came, or a target's child. Disposing of it
 * closes our handle, and changes nothing there.
 */
export class RunningProcess implements Target {
  readonly pid: number;
  readonly origin: 'attached' | 'child';
  readonly command: readonly string[];
  readonly image: string;
  /** The id of the process that started it, or in whose name it was started. */
  readonly parentId: number;
  /** Its program, and ntdll. */
  readonly firstModules: readonly Module[];
  readonly #process: OwnedHandle;

  private constructor(
    process: OwnedHandle,
    { processId, name }: Named,
    origin: 'attached' | 'child',
    block: EnvironmentBlock,
  ) {
    this.#process = process;
    this.parentId = block.parentId;
    this.origin = origin;
    this.pid = processId;
    this.image = readImagePath(process.asRawHandle()) ?? name;
    const [, ...args] = parseCommandLine(block.commandLine?.text ?? '');
    this.command = [this.image, ...args];
    this.firstModules = listFirstModules(block, this.image);
  }

  /**
   * Opens a process that is to be recorded.
   *
   * @param info as it was listed: another process may have its id by now, and is not touched
   * @throws AttachError when it may not be opened, has ended, is this very process, or is no x64 process
   */
  static open(info: ProcessInfo): RunningProcess {
    return RunningProcess.#open(info, 'attached', () => isStillListed(info));
  }

  /**
   * Opens a child process that waits before its first instruction to be recorded.
   *
   * @throws AttachError as {@link open}
   */
  static openChild(processId: number): RunningProcess {
    return RunningProcess.#open({ processId, name: '?' }, 'child', () => true);
  }

  /** @param isMeant says whether it is no other process, once the id cannot change hands any more */
  static #open(info: Named, origin: 'attached' | 'child', isMeant: () => boolean): RunningProcess {
    if (info.processId === process.pid)
      throw new AttachError(info, 'it is this very process', 'the id of another process');
    const raw = OpenProcess(ACCESS, false, info.processId);
    if (raw === 0n) throw refusal(info);
    const opened = HandleOrNull.fromRawHandle(raw).tryIntoOwned();
    try {
      const exitCode = readExitCode(opened, info.processId);
      if (exitCode !== undefined) throw endedError(info, exitCode);
      if (!isMeant())
        throw new AttachError(info, 'it has ended, and another process has its id', 'the id of a process that runs');
      const block = EnvironmentBlock.tryOf(opened);
      checkMachine(block?.programMachine, info);
      return new RunningProcess(opened, info, origin, block!);
    } catch (error) {
      opened[Symbol.dispose]();
      throw error;
    }
  }

  asHandle(): BorrowedHandle {
    return this.#process.asHandle();
  }

  stopThreads(waiting: WaitingThread | undefined, areOthersEnded: boolean): StoppedThreads {
    return StoppedThreads.stop(this, this.pid, waiting, areOthersEnded);
  }

  modules(isStanding = false): readonly Module[] {
    return listModules(this, isStanding);
  }

  exitCode(): number | undefined {
    return readExitCode(this, this.pid);
  }

  /**
   * Adds arguments before its own, as if its parent had given them. It must not have begun to run: its code reads the
   * command line later. One that is too long for them stays as it is.
   *
   * @throws Win32Error when Windows refuses to write to the process
   */
  addArguments(args: readonly string[]): void {
    const found = EnvironmentBlock.of(this).commandLine;
    if (found === undefined) return;
    const line = insertArguments(found.text, args);
    if (line.length >= LENGTH_MAX) return;
    const text = Buffer.from(`${line}\0`, 'utf16le');
    const raw = this.#process.asRawHandle();
    const place = VirtualAllocEx(raw, 0n, BigInt(text.length), MEM_COMMIT_RESERVE, PAGE_READWRITE);
    if (place === 0n) throw failed('make room for a command line in', 'a child process');
    const record = Buffer.alloc(16); // UNICODE_STRING
    record.writeUInt16LE(text.length - 2, 0); // USHORT Length
    record.writeUInt16LE(text.length, 2); // USHORT MaximumLength
    record.writeBigUInt64LE(place, 8); // PWSTR Buffer
    for (const [address, bytes] of [
      [place, text],
      [found.address, record],
    ] as const)
      if (!WriteProcessMemory(raw, address, bytes, BigInt(bytes.length), null))
        throw failed('write the command line of', 'a child process');
  }

  [Symbol.dispose](): void {
    this.#process[Symbol.dispose]();
  }
}

/** The error for a process that has ended before it was attached to. */
export function endedError(info: Named, exitCode: number): AttachError {
  return new AttachError(info, `it has ended, with exit code ${exitCode}`, 'the id of a process that runs');
}

/** The error for a process that Windows has just refused to open; reads GetLastError. */
function refusal(info: Named): AttachError {
  const code = GetLastError();
  const spelt = `${nameOfWin32Code(code) ?? 'error'} ${code}`;
  if (code === ERROR_ACCESS_DENIED)
    return new AttachError(
      info,
      `access is denied (${spelt}): it is another user's, or Windows protects it`,
      'an elevated terminal; a protected process cannot be audited',
    );
  if (code === ERROR_INVALID_PARAMETER)
    return new AttachError(info, `it has ended, or may not be opened (${spelt})`, 'the id of a process that runs');
  return new AttachError(info, `Windows does not open it (${spelt})`, 'an elevated terminal');
}

function checkMachine(machine: number | undefined, info: Named): void {
  if (machine === IMAGE_FILE_MACHINE_AMD64) return;
  if (machine === IMAGE_FILE_MACHINE_I386)
    throw new AttachError(info, 'it is a 32-bit process, which is not audited yet', 'a 64-bit build of it');
  if (machine === IMAGE_FILE_MACHINE_ARM64)
    throw new AttachError(info, 'it is an ARM64 process, which is not audited yet', 'an x64 build of it');
  throw new AttachError(info, 'its program cannot be read, so it may be no x64 process', 'a process of a program');
}
