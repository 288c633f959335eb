import { GetConsoleMode, PeekConsoleInputW, PeekNamedPipe, ReadFile } from '../../ffi/console.ts';
import { GetLastError } from '../../ffi/kernel32.ts';
import type { HANDLE } from '../../ffi/library.ts';
import { NULL_HANDLE, standardHandle } from '../../io/index.ts';

const LOOK_MS = 50;
const LINE_FEED = 0x0a;
const ERROR_BROKEN_PIPE = 109;

const KEY_EVENT = 1;
const VK_RETURN = 0x0d;
const INPUT_RECORD_SIZE_BYTES = 20;
const EVENTS_MAX = 64;

/**
 * Enter on stdin, which the program under audit shares. Only what has arrived is read, and only while a caller waits:
 * all other input is the program's.
 */
export class EnterKey {
  readonly #waiting: ((isPressed: boolean) => void)[] = [];
  #timer: NodeJS.Timeout | undefined;
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
        resolve(false);
      });
      this.#timer ??= setInterval(() => this.#look(), LOOK_MS);
    });
  }

  #look(): void {
    const input = this.#waiting.length === 0 ? '' : readArrived();
    if (input === undefined) this.#hasEnded = true;
    for (const byte of Buffer.from(input ?? '', 'latin1')) if (byte === LINE_FEED) this.#waiting.shift()?.(true);
    if (this.#hasEnded) for (const resolve of this.#waiting.splice(0)) resolve(false);
    if (this.#waiting.length > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}

/** The input that has arrived on stdin, without waiting for more; `undefined` at its end. */
function readArrived(): string | undefined {
  const stdin = standardHandle('input').asRawHandle();
  if (stdin === NULL_HANDLE) return undefined;
  const count = new Uint32Array(1);
  // Under Wine this also serves pipes and terminals of Linux.
  if (PeekNamedPipe(stdin, null, 0, null, count, null)) return count[0] === 0 ? '' : read(stdin, count[0]!);
  if (GetLastError() === ERROR_BROKEN_PIPE) return undefined;
  if (GetConsoleMode(stdin, new Uint32Array(1))) return isEnterInConsole(stdin) ? read(stdin, 1024) : '';
  return read(stdin, 1024); // a file, or NUL
}

function read(stdin: HANDLE, sizeBytes: number): string | undefined {
  const buffer = Buffer.alloc(Math.min(sizeBytes, 1024));
  const count = new Uint32Array(1);
  if (!ReadFile(stdin, buffer, buffer.length, count, null) || count[0] === 0) return undefined;
  return buffer.toString('latin1', 0, count[0]);
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
