import { writeSync } from 'node:fs';

/** A reason not to start that the user can do something about: shown as it is, without a stack; exit code 2. */
export class LaunchFailure extends Error {}

/**
 * Writes one line to stderr. Not by `process.stderr`, which makes a pipe non-blocking for everybody who shares
 * it, and the Windows programs do.
 *
 * @param {string} text
 */
export function say(text) {
  for (let rest = Buffer.from(`unclosed: ${text}\n`); rest.length > 0; ) {
    try {
      rest = rest.subarray(writeSync(2, rest));
    } catch (error) {
      // Where nobody reads any more, or stderr is closed, the exit code says it alone.
      if (/** @type {NodeJS.ErrnoException} */ (error).code !== 'EAGAIN') return;
    }
  }
}
