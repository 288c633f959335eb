import { appendFileSync } from 'node:fs';

/**
 * A line of what the Windows side says to the launcher: that the tool runs, and that its work is done, with the exit
 * code for it.
 */
export type VerdictWord = 'started' | `ended ${number}`;

/**
 * Says something to the launcher, which takes nothing for a result that was not said so: a Windows program ends with
 * exit code 0 whenever Wine's server does.
 *
 * @param path see {@link Host.verdict}
 * @throws Error when it cannot be written to
 */
export function sayVerdict(path: string, word: VerdictWord): void {
  appendFileSync(path, `${word}\n`);
}
