/** How the self-test's script is run: each mode commits the faults of a part, or their correct twins. */
export type Mode = 'faults' | 'clean' | 'child' | 'clean-child' | 'quarantine' | 'attach';

/** The script's account of its own run. */
export interface Account {
  readonly pid: number;
  /** The value that each fault is about, in hexadecimal digits, by the fault's name. */
  readonly values: Readonly<Record<string, string>>;
  readonly modules: readonly { readonly name: string; readonly isSystem: boolean }[];
  readonly mitigations: readonly string[];
}

/** The exit code of the script, which the audit must pass on. */
export const SCRIPT_EXIT_CODE = 7;
