import { appendFileSync } from 'node:fs';

/**
 * A line from the Windows side to the launcher: the tool runs, or its work is done with this exit code.
 */
export type VerdictWord = 'started' | `ended ${number}`;

/**
 * Writes a line for the launcher. The launcher accepts no other result: a Windows program ends with exit code 0
 * whenever Wine's server does.
 *
 * @param path see {@link Host.verdict}
 * @throws Error when it cannot be written to
 */
export function sayVerdict(path: string, word: VerdictWord): void {
  appendFileSync(path, `${word}\n`);
}
