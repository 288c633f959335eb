import { writeSync } from 'node:fs';

/** A failure that the user can do something about. It is shown without a stack, and the exit code is 2. */
export class LaunchFailure extends Error {}

/**
 * Writes one line to stderr. `process.stderr` would make a pipe non-blocking, also for the Windows programs that share
 * it.
 *
 * @param {string} text
 */
export function say(text) {
  for (let rest = Buffer.from(`unclosed: ${text}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(2, rest));
    } catch (error) {
      // If stderr is closed or no longer read, the exit code must be enough.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') return;
    }
  }
}
