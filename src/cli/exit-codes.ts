import type { ExitCodePolicy } from '../config/config.ts';

/** The tool’s exit codes; docs/command-line.md lists them for users. */
export const exitCodes = {
  clean: 0,
  findings: 1,
  /** Bad usage, a target that cannot be audited, or an error of the tool itself. */
  error: 2,
  /** The report is incomplete and `--require-complete` was given. */
  incomplete: 3,
  interrupted: 130,
} as const;

/**
 * The exit code of a run with two results: that of the findings, and the program's own.
 *
 * @param ofFindings 0 when nothing was found that fails a build
 * @param ofProgram undefined when it has not ended: then it has not succeeded
 */
export function combineExitCodes(
  policy: ExitCodePolicy,
  ofFindings: number,
  ofProgram: number = exitCodes.error,
): number {
  switch (policy) {
    case 'findings':
      return ofFindings;
    case 'program':
      return ofProgram;
    case 'program-first':
      return ofProgram || ofFindings;
    case 'findings-first':
      return ofFindings || ofProgram;
  }
}
