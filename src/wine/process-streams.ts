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
 * `process.stdin` throws likewise, as soon as any module has `import process from 'node:process'`. The tool never reads
 * its input: stdin belongs to the audited program, and the replacement is at its end.
 */
export function installStandardStreams(host: Host): void {
  const makers = {
    stdout: () => makeOutput(1, host.stdout),
    stderr: () => makeOutput(2, host.stderr),
    stdin: () => Readable.from([]),
  };
  for (const [name, make] of Object.entries(makers)) {
    let made: Readable | Writable | undefined;
    // Made at their first use, as Node.js' own: unused streams took a tenth of a start.
    Object.defineProperty(process, name, { configurable: true, enumerable: true, get: () => (made ??= make()) });
  }
}

/**
 * A synchronous output stream, with the properties of a terminal that libraries read. Its `fd` is 1 or 2, also when the
 * text goes to the terminal by its path; `isTTY` is true or absent, as in Node.js.
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

/** Undefined where it cannot be opened: the console then shows the text, perhaps without colours. */
function openTerminal(path: string): number | undefined {
  try {
    return openSync(path, 'w');
  } catch {
    return undefined;
  }
}
