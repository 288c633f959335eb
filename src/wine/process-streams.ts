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
  const makers = {
    stdout: () => makeOutput(1, host.stdout),
    stderr: () => makeOutput(2, host.stderr),
    stdin: () => Readable.from([]),
  };
  for (const [name, make] of Object.entries(makers)) {
    let made: Readable | Writable | undefined;
    // When they are first asked for, as Node.js' own: a tenth of a start went into streams that nobody used.
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => (made ??= make()) });
  }
}

/**
 * A synchronous output stream, with what libraries ask of a terminal. Its `fd` is 1 or 2, also when the text goes to
 * the terminal by its path; `isTTY` is true or absent, as in Node.js.
 */
function makeOutput(fd: 1 | 2, terminal: Terminal | undefined): Writable {
  const target = (terminal?.path && openTerminal(terminal.path)) || fd;
  const colorDepth = terminal?.colorDepth ?? 1;
  const stream = new Writable({
    write(chunk: Buffer, _encoding, done) {
      try {
        for (let rest = chunk; rest.length > 0; ) rest = rest.subarray(writeSync(target, rest));
        done();
      } catch (error) {
        done(error as Error);
      }
    },
    destroy(error, done) {
      if (target !== fd) closeSync(target);
      done(error);
    },
  });
  return Object.assign(stream, {
    fd,
    ...(terminal && { isTTY: true as const, columns: terminal.columns }),
    getColorDepth: () => colorDepth,
    hasColors: (count = 16) => count <= 2 ** colorDepth,
  });
}

/** Undefined: only the console remains, which shows the text if not its colours. */
function openTerminal(path: string): number | undefined {
  try {
    return openSync(path, 'w');
  } catch {
    return undefined;
  }
}
