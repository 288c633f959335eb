import type { RecordingOptions } from '../agent/inject/recording-options.ts';
import type { AnalyzeOptions } from '../analyze/index.ts';
import type { SuppressionText } from '../analyze/suppressions.ts';
import type { Stack } from '../model.ts';
import type { SymbolDownload } from '../symbols/store/symbol-server.ts';
import type { SymbolSearch } from '../symbols/symbolizer.ts';
import type { StopOptions } from './stops/stop-options.ts';

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
  /** Whether open handles are counted while the program runs, for `openOverTime` of the report; false by default. */
  readonly countOverTime?: boolean;
  /** Texts of suppressions (docs/suppressions.md), beside the default ones. */
  readonly suppressions?: readonly SuppressionText[];
  /** Whether the default suppressions are in force; true by default. */
  readonly defaultSuppressions?: boolean;
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`. */
  readonly symbolPath?: string;
  /**
   * Whether stacks of Node.js have the functions of its JavaScript; false by default. Flags of V8 are added to the
   * arguments of the program, which must be `node.exe`: docs/javascript.md.
   */
  readonly javaScript?: boolean;
  /** The directory in which programs that were started with those flags keep their logs. */
  readonly javaScriptLogs?: string;
  /** Called with the news of each PDB that comes from a symbol server. Only servers in the symbol path are asked. */
  readonly onSymbolDownload?: (download: SymbolDownload) => void;
  /** Whether child processes are recorded, too, and theirs; false by default, though the command does it. */
  readonly followChildren?: boolean;
  /** Programs (`worker.exe`) whose processes the report is of; others are followed for their children's sake. */
  readonly only?: readonly string[];
  /** Programs that run unrecorded as child processes, with all that they start. */
  readonly skip?: readonly string[];
  /** Whether the audit goes on until all child processes have ended; false by default. */
  readonly waitChildren?: boolean;
  /** A value whose calls are shown as they are made, in every process that the report is of. */
  readonly watch?: WatchOptions;
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
  /** At which misuses and leaks threads are stopped: docs/stop-there.md. Absent: none is. */
  readonly stops?: StopOptions;
  /**
   * Called again and again while symbols are read, and with `undefined` when that is over. Only at times when neither
   * the program nor a process that it has started can run: the terminal that they share is the caller's then.
   */
  readonly onProgress?: (progress: AuditProgress | undefined) => void;
}

/** A handle value whose calls are shown as they are made. */
export interface WatchOptions {
  readonly value: bigint;
  /** Called soon after a call that has to do with the value, while the program runs on. */
  readonly onEvent: (event: WatchedEvent) => void;
}

/** A call that has to do with a value that is watched. */
interface WatchedEvent {
  /** The process that made it; absent for the program that the audit has started. */
  readonly process?: { readonly pid: number; readonly image: string };
  /** Words that may follow the value: `opened`, `closed again`. */
  readonly what: string;
  /** The type of the object that the value stood for; `Unknown` where that is not known. */
  readonly objectType: string;
  /** Name of the call: `NtCreateEvent`. */
  readonly call: string;
  readonly threadId: number;
  /** Milliseconds since the recording of the first process began. */
  readonly timeMs: number;
  readonly stack: Stack;
  /** For a mistake: how often it was made from the same stacks so far, also with other values. */
  readonly count?: number;
  /** For an opening: how many lives before it came and went unseen. */
  readonly missedLives?: number;
}

/** The part of an audit that takes long. */
export interface AuditProgress {
  readonly work: 'reading symbols';
  /** Name of the module whose symbols are being read, as the target has it: it may hold anything. */
  readonly module: string;
}

/** Where the names of functions come from, beside the modules. */
export interface NameSources extends SymbolSearch {
  /** The directory of V8's logs. */
  readonly javaScriptLogs?: string | undefined;
}

/** Where an audit's names of functions come from. */
export function nameSourcesOf(
  { symbolPath, onSymbolDownload }: Partial<AuditOptions>,
  javaScriptLogs: string | undefined,
): NameSources {
  return { searchPath: symbolPath, onDownload: onSymbolDownload, javaScriptLogs };
}
