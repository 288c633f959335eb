import { Script } from 'node:vm';

/**
 * The time after which an event counts as missing. It guards against a hang and measures nothing: the machine may be
 * busy with ten other things, and Wine is slow. Tests set no limits of their own.
 */
export const HANG_MS = 300_000;

/** As {@link HANG_MS}, for work that takes a second or two on an idle machine. */
const WORK_HANG_MS = 60_000;

/**
 * Does work that must end by itself, on an input for which an algorithm that grows too fast would need many minutes.
 * Ends such work and fails: a test's own timeout cannot interrupt work that never comes back to the event loop.
 *
 * @throws Error (ERR_SCRIPT_EXECUTION_TIMEOUT) when it does not end
 */
export function ends<Result>(work: () => Result): Result {
  return new Script('work()').runInNewContext({ work }, { timeout: WORK_HANG_MS }) as Result;
}
