import { writeSync } from 'node:fs';

/** A failure that the user can do something about. It is shown without a stack, and the exit code is 2. */
export class LaunchFailure extends Error {}

/**
 * Writes one line to stderr.
 *
 * @param {string} text
 */
export function say(text) {
  writeAll(2, Buffer.from(`unclosed: ${text}\n`));
}

/**
 * Writes to stdout.
 *
 * @param {Buffer} bytes
 */
export function writeOut(bytes) {
  writeAll(1, bytes);
}

/**
 * Writes all bytes. `process.stderr` would make a pipe non-blocking, also for the Windows programs that share it.
 *
 * @param {1 | 2} fd
 * @param {Buffer} bytes
 */
function writeAll(fd, bytes) {
  for (let rest = bytes; rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(fd, rest));
    } catch (error) {
      // If the stream is closed or no longer read, the exit code must be enough.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') return;
    }
  }
}
