import { randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, readSync, unlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path/posix';
import { LaunchFailure } from './failure.js';
import { onDriveZ } from './host.js';

/** @import { VerdictWord } from '../src/wine/verdict.ts' */

/**
 * The verdict of the Windows side.
 *
 * @typedef {object} Said
 * @property {boolean} hasStarted
 * @property {number} [exitCode] present when the tool has written all its output
 */

/**
 * A file in which the Windows side writes that it runs, and at last that its work is done. The exit code of its process
 * is not enough: after the end of Wine's server it is 0, which means "no findings".
 *
 * The file has no name, so that it vanishes in any case. The Windows side opens it by way of this process.
 */
export class VerdictFile {
  /** @type {number} */
  #fd;

  /** @throws {LaunchFailure} */
  constructor() {
    const path = join(tmpdir(), `unclosed-${randomUUID()}`);
    try {
      this.#fd = openSync(path, 'wx+', 0o600);
      unlinkSync(path);
    } catch (error) {
      const { message } = /** @type {Error} */ (error);
      throw new LaunchFailure(
        `Cannot make a temporary file: ${message}. Try TMPDIR=<a directory of yours> in the environment.`,
      );
    }
  }

  /** As Windows programs under Wine open it. */
  get path() {
    return onDriveZ(`/proc/${process.pid}/fd/${this.#fd}`);
  }

  /** @returns {Said} */
  read() {
    const bytes = Buffer.alloc(Math.min(fstatSync(this.#fd).size, 4096));
    const length = readSync(this.#fd, bytes, 0, bytes.length, 0);
    return parseVerdict(bytes.toString('latin1', 0, length));
  }

  close() {
    closeSync(this.#fd);
  }
}

/**
 * @param {string} text whole lines and perhaps a part of another, see {@link VerdictWord}
 * @returns {Said}
 */
export function parseVerdict(text) {
  const exitCode = /^ended (\d{1,10})$/m.exec(text.slice(0, text.lastIndexOf('\n') + 1))?.[1];
  return { hasStarted: text.startsWith('started\n'), ...(exitCode !== undefined && { exitCode: Number(exitCode) }) };
}
