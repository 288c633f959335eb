import { type ChildProcess, spawn } from 'node:child_process';

import { GetConsoleMode, PeekConsoleInputW, PeekNamedPipe, ReadFile } from '../../ffi/console.ts';
import { GetLastError } from '../../ffi/kernel32.ts';
import type { HANDLE } from '../../ffi/library.ts';
import { NULL_HANDLE, standardHandle } from '../../io/index.ts';

const LOOK_MS = 50;
const LINE_FEED = 0x0a;
const ERROR_NOT_SUPPORTED = 50;
const ERROR_BROKEN_PIPE = 109;

const KEY_EVENT = 1;
const VK_RETURN = 0x0d;
const INPUT_RECORD_SIZE_BYTES = 20;
const EVENTS_MAX = 64;

/** Reads stdin up to the end of a line, says so, and ends; at the end of stdin it ends without a word. */
const READER = `const byte = Buffer.alloc(1);
try { while (require('fs').readSync(0, byte) > 0) if (byte[0] === 10) { process.send(true, () => process.exit()); break; } } catch {}
if (byte[0] !== 10) process.exit();`;

/**
 * Enter on stdin, which the program under audit shares. Only what has arrived is read, and only while a caller waits:
 * all other input is the program's.
 *
 * Under Wine a pipe of Linux does not say what has arrived. There a process of its own reads, and is ended when no
 * caller waits any more.
 */
export class EnterKey {
  readonly #waiting: ((isPressed: boolean) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
  #reader: ChildProcess | undefined;
  #hasEnded = false;

  /** No key can be pressed any more. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /**
   * Resolves with `true` when Enter is pressed, once for each press and in the order of the calls, and with `false`
   * when stdin has ended or `isOver` is aborted.
   */
  async press(isOver: AbortSignal): Promise<boolean> {
    if (this.#hasEnded || isOver.aborted) return false;
    return await new Promise((resolve) => {
      this.#waiting.push(resolve);
      isOver.addEventListener('abort', () => {
        const index = this.#waiting.indexOf(resolve);
        if (index >= 0) this.#waiting.splice(index, 1);
        this.#restUnlessAwaited();
        resolve(false);
      });
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    });
  }

  #look(): void {
    if (this.#reader !== undefined) return;
    const input = readArrived();
    if (input === 'not told') this.#readByProcess();
    else if (input === 'ended') this.#end();
    else for (const byte of input) if (byte === LINE_FEED) this.#waiting.shift()?.(true);
    this.#restUnlessAwaited();
  }

  #readByProcess(): void {
    const reader = spawn(process.execPath, ['-e', READER], {
      stdio: ['inherit', 'ignore', 'ignore', 'ipc'],
      windowsHide: true,
      env: { ...process.env, NODE_OPTIONS: '' },
    });
    this.#reader = reader;
    let isPressed = false;
    reader.on('message', () => {
      isPressed = true;
      this.#waiting.shift()?.(true);
    });
    reader.on('error', () => this.#end());
    reader.on('exit', () => {
      if (this.#reader !== reader) return;
      this.#reader = undefined;
      if (!isPressed) this.#end();
      this.#restUnlessAwaited();
    });
    reader.unref();
    reader.channel?.unref();
  }

  #end(): void {
    this.#hasEnded = true;
    for (const resolve of this.#waiting.splice(0)) resolve(false);
  }

  #restUnlessAwaited(): void {
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    const reader = this.#reader;
    this.#reader = undefined;
    reader?.kill();
  }
}

/** The input that has arrived on stdin, without waiting for more. */
function readArrived(): Buffer | 'ended' | 'not told' {
  const stdin = standardHandle('input').asRawHandle();
  if (stdin === NULL_HANDLE) return 'ended';
  const count = new Uint32Array(1);
  if (PeekNamedPipe(stdin, null, 0, null, count, null))
    return count[0] === 0 ? Buffer.alloc(0) : read(stdin, count[0]!);
  const code = GetLastError();
  if (code === ERROR_BROKEN_PIPE) return 'ended';
  if (code === ERROR_NOT_SUPPORTED) return 'not told';
  if (GetConsoleMode(stdin, new Uint32Array(1))) return isEnterInConsole(stdin) ? read(stdin, 1024) : Buffer.alloc(0);
  return read(stdin, 1024); // a file, or NUL
}

function read(stdin: HANDLE, sizeBytes: number): Buffer | 'ended' {
  const buffer = Buffer.alloc(Math.min(sizeBytes, 1024));
  const count = new Uint32Array(1);
  if (!ReadFile(stdin, buffer, buffer.length, count, null) || count[0] === 0) return 'ended';
  return buffer.subarray(0, count[0]);
}

/** Whether a console has a whole line: to read less would wait for the rest. */
function isEnterInConsole(console: HANDLE): boolean {
  const records = Buffer.alloc(EVENTS_MAX * INPUT_RECORD_SIZE_BYTES);
  const count = new Uint32Array(1);
  if (!PeekConsoleInputW(console, records, EVENTS_MAX, count)) return false;
  return Array.from({ length: count[0]! }, (_, index) => index * INPUT_RECORD_SIZE_BYTES).some(
    (at) =>
      records.readUInt16LE(at) === KEY_EVENT && // WORD EventType
      records.readInt32LE(at + 4) !== 0 && // BOOL bKeyDown
      records.readUInt16LE(at + 10) === VK_RETURN, // WORD wVirtualKeyCode
  );
}
