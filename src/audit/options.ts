import type { RecordingOptions } from '../agent/inject/recording.ts';
import type { AnalyzeOptions } from '../analyze/index.ts';
import type { SuppressionText } from '../analyze/suppressions.ts';

/** How to audit a program from its first instruction to its last. */
export interface AuditOptions {
  /** The program, which may be given without directory or `.exe`. */
  readonly program: string;
  readonly args?: readonly string[];
  /** The stream of ours that the target's stdout goes to; `stdout` by default. */
  readonly targetStdout?: 'stdout' | 'stderr';
  readonly recording?: RecordingOptions;
  readonly analysis?: AnalyzeOptions;
  /** The event (`name`) or pipe (`pipe:name`) by which the end of each iteration is marked: docs/iterations.md. */
  readonly mark?: string;
  /** How long to wait at a mark for handles that are about to be closed; 0 by default. */
  readonly settleMs?: number;
  /** Whether a handle that a labelled section opens and leaves open at its end is a leak: docs/test-attribution.md. */
  readonly leaksBySection?: boolean;
  /** Texts of suppressions (docs/suppressions.md), beside the default ones. */
  readonly suppressions?: readonly SuppressionText[];
  /** Whether the default suppressions are in force; true by default. */
  readonly defaultSuppressions?: boolean;
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`. */
  readonly symbolPath?: string;
  /** Whether child processes are recorded, too, and theirs; false by default, though the command does it. */
  readonly followChildren?: boolean;
  /** Programs (`worker.exe`) whose processes the report is of; others are followed for their children's sake. */
  readonly only?: readonly string[];
  /** Programs that run unrecorded as child processes, with all that they start. */
  readonly skip?: readonly string[];
  /** Whether the audit goes on until all child processes have ended; false by default. */
  readonly waitChildren?: boolean;
  /** How often to run the program; one report tells of all runs. Absent: once, and the report is of that run. */
  readonly repeat?: number;
  /**
   * Ends the audit when aborted: the target is suspended, judged and ended, and the report holds what was seen until
   * then.
   */
  readonly signal?: AbortSignal;
  /**
   * Aborted when the target is asked to end early and may do so by itself, as by a Ctrl-C that reaches it, too. The
   * report is incomplete from then on, and no further run begins.
   */
  readonly interruption?: AbortSignal;
}
