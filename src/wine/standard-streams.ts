import { closeSync, openSync, writeSync } from 'node:fs';
import { Readable, Writable } from 'node:stream';
import type { Host, Terminal } from './host.ts';

/**
 * Puts streams that work in the place of `process.stdout`, `process.stderr` and `process.stdin`.
 *
 * Node.js' own throw EBADF under Wine (8 and 10) when they are Unix pipes, at the first touch; and not only our
 * code touches them: Node.js does so itself whenever a pipe or socket is destroyed (`this !== process.stderr` in
 * net.js), commander and chalk do so at will. `fs.writeSync` works on all of pipes, sockets and files. A terminal
 * is written to by its path, past Wine's console: see {@link Terminal.path}.
 *
 * `process.stdin` throws likewise, as soon as anybody says `import process from 'node:process'`. The tool never reads:
 * stdin is the audited program's, and this one is at its end.
 */
export function installStandardStreams(host: Host): void {
  for (const [name, fd, terminal] of [
    ['stdout', 1, host.stdout],
    ['stderr', 2, host.stderr],
  ] as const) {
    Object.defineProperty(process, name, { configurable: true, enumerable: true, value: new StandardStream(fd, terminal) });
  }
  Object.defineProperty(process, 'stdin', { configurable: true, enumerable: true, value: Readable.from([]) });
}

/** A synchronous output stream, with what libraries ask of a terminal. */
class StandardStream extends Writable {
  /** 1 or 2, also when the text goes to the terminal by its path. */
  readonly fd: 1 | 2;
  /** True or absent, as in Node.js. */
  readonly isTTY?: true;
  readonly columns?: number;
  readonly #colorDepth: number;
  readonly #target: number;

  constructor(fd: 1 | 2, terminal: Terminal | undefined) {
    super({ decodeStrings: true });
    this.fd = fd;
    this.#colorDepth = terminal?.colorDepth ?? 1;
    this.#target = (terminal?.path && openTerminal(terminal.path)) || fd;
    if (terminal !== undefined) {
      this.isTTY = true;
      this.columns = terminal.columns;
    }
  }

  getColorDepth(): number {
    return this.#colorDepth;
  }

  hasColors(count = 16): boolean {
    return count <= 2 ** this.#colorDepth;
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    try {
      for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(this.#target, rest));
      done();
    } catch (error) {
      done(error as Error);
    }
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    if (this.#target !== this.fd) closeSync(this.#target);
    done(error);
  }
}

/** Undefined: only the console remains, which shows the text if not its colours. */
function openTerminal(path: string): number | undefined {
  try {
    return openSync(path, 'w');
  } catch {
    return undefined;
  }
}
