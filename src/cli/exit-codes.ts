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
