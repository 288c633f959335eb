/**
 * The plain data that flows through the tool: evidence read from a target, findings made of it, the report.
 * Everything in it survives `JSON.stringify` but for `bigint`s, which the reporters print as `0x…`.
 */

import type { Completeness } from './completeness.ts';
import type { ProcessPart, ProcessSummary } from './process-model.ts';
import type { Level, Rule } from './rules.ts';

export type { ProcessPart, ProcessSummary } from './process-model.ts';
export type { Level, Rule } from './rules.ts';

/** One return address of a call stack, resolved as far as symbols allow. */
export interface Frame {
  /** File name of the module without its directory (`app.exe`), or `?` for an address outside of all modules. */
  readonly module: string;
  /** Function that holds the address, undecorated where its decoration is known. */
  readonly function?: string;
  /**
   * For a frame of the system that symbols name: the name that the module's exports give the function, empty where they
   * give none. Absent where it is {@link function}. Verdicts rest on it, so that they do not depend on symbols.
   */
  readonly exported?: string;
  /**
   * Bytes from the start of {@link function}, or from the module's base (or 0) where no function is known. For an
   * {@link inlined} frame, bytes from the start of the function that it was inlined into.
   */
  readonly offset: number;
  /** Source file, as the symbols name it. */
  readonly file?: string;
  /** 1-based line in {@link file}. */
  readonly line?: number;
  /** 1-based column of the call, for JavaScript. */
  readonly column?: number;
  /**
   * The compiler put the function into its caller, which is the next frame. It has no return address of its own; the
   * symbols know of it.
   */
  readonly inlined?: true;
  /** The module belongs to Windows (or Wine), not to the program; or the frame is {@link interposed}. */
  readonly system?: true;
  /**
   * Other software put the function between the program and Windows: a hook of security software, a shim, a verifier.
   * It counts as {@link system}, whatever its module.
   */
  readonly interposed?: true;
  /** Code that the compiler's runtime brought into the program (`mainCRTStartup`), not the programmer's own. */
  readonly runtime?: true;
  /** A function of JavaScript, or the code that runs it: V8's builtins and its host. The logs of V8 told it. */
  readonly javascript?: true;
  /**
   * It is of the call by which another thread asked for this one: libuv's pool of threads opens files for others. Such
   * frames stand behind those of the thread that made the call.
   */
  readonly requested?: true;
}

/**
 * Return addresses that a recorder keeps of a stack, the innermost ones. Calls through shell32, combase, rpcrt4 or
 * WinHTTP have more than 32 frames of the system above the program's.
 */
export const KEPT_FRAME_COUNT = 64;

/** Innermost frame first: `stack[0]` made the call. Empty when no stack could be walked. */
export type Stack = readonly Frame[];

/** A kernel object as far as it is known; a socket is a `File` to the kernel and has type `Socket` here. */
export interface HandleObject {
  /**
   * Kernel type name (`Event`, `File`, `Key`, `Process`…), `Socket`, or `Unknown`. An object that stands for a kernel
   * handle is a `Descriptor` or `FILE` of a C runtime, a `Search` of FindFirstFile, or a `PseudoConsole`.
   */
  readonly type: string;
  /** Name in the form that a person would type: `C:\…`, `HKLM\…`, `\\.\pipe\…`. */
  readonly name?: string;
  readonly socket?: SocketDescription;
  /** The object that stands for the handle: the program closes it, and it closes the handle. */
  readonly wrapper?: Wrapper;
}

/** A C runtime's descriptor or FILE, by which a program knows a handle; or what makes a handle more than one. */
export interface Wrapper {
  readonly type: 'Descriptor' | 'FILE' | 'ChangeNotification';
  /**
   * The descriptor's number, or the FILE's address; absent where it stands for several, and for a change notification.
   */
  readonly value?: bigint;
  /** The number of a FILE's descriptor. */
  readonly descriptor?: number;
}

/** The ends of a socket, as far as they are known. */
export interface SocketDescription {
  readonly protocol?: 'TCP' | 'UDP' | 'TCPv6' | 'UDPv6' | 'raw' | 'unix';
  /** `address:port`, IPv6 addresses in brackets. */
  readonly local?: string;
  readonly remote?: string;
  readonly state?: 'bound' | 'listening' | 'connected' | 'closed' | 'unbound';
}

/**
 * Whether a finding has been accepted. Only a new one fails a build.
 *
 * - `new`: it has not been accepted;
 * - `known`: the baseline has it;
 * - `suppressed`: a line of suppressions matches it.
 */
export type FindingStatus = 'new' | 'known' | 'suppressed';

/** A site where something went wrong: same rule, same normalised stacks, same object type. */
export interface Finding {
  readonly rule: Rule;
  readonly level: Level;
  readonly status: FindingStatus;
  /** The line that suppresses it; present exactly when {@link status} is `suppressed`. */
  readonly suppressedBy?: SuppressionLine;
  /** The part of it that the baseline accepts. A `new` finding that has it has grown beyond that. */
  readonly baseline?: KnownAmount;
  /** One sentence for a person: what happened, to how many handles, and why it has this level. */
  readonly message: string;
  /** Handles (for a leak) or occurrences (for a misuse). */
  readonly count: number;
  readonly object: HandleObject;
  /** Up to 10 values, ascending. */
  readonly handles: readonly bigint[];
  /** The object of each of {@link handles}, in their order; absent when {@link object} holds for all of them. */
  readonly objects?: readonly HandleObject[];
  readonly stacks: {
    readonly opened?: Stack;
    readonly closed?: Stack;
    readonly offending?: Stack;
    /** For a stale call: where the object was opened that the call would have reached without the quarantine. */
    readonly victim?: Stack;
    /** For a leak: where handles of the same site are closed. */
    readonly siblingsClosed?: Stack;
  };
  /** For a mistake with a value that had stood for something else before; absent where it had not. */
  readonly history?: HandleHistory;
  /** Stable across builds, machines and runs: 16 hexadecimal digits. */
  readonly fingerprint: string;
  /** For a leak, when iterations were marked: how the number of open handles moved after the warm-up. */
  readonly growth?: IterationGrowth;
  /** The labelled sections of the program's work, such as tests, that it belongs to; absent where none is known. */
  readonly sections?: Sections;
  /** When several processes were recorded: those that it is of. */
  readonly processes?: readonly ProcessPart[];
  /** When the target was run repeatedly: {@link count} in each run, in order; 0 for a run without the finding. */
  readonly runs?: readonly number[];
  /** A line that suppresses this finding and its like: docs/suppressions.md. */
  readonly suppression?: string;
  /** Path of a minidump of the moment at which it was first seen: docs/stop-there.md. */
  readonly dump?: string;
}

/** The calls by which a handle value came to a mistake: of its last life, and of a few before. */
export interface HandleHistory {
  readonly handle: bigint;
  /** In order; the last one is the mistake. Calls that are not known are left out. */
  readonly events: readonly HistoryEvent[];
}

/** One call in the history of a handle value; figures that are not known are absent. */
export interface HistoryEvent {
  /**
   * `opened`, `closed`, and `misused` for the call that was refused. `closed-by-stranger`: the code that had closed an
   * earlier life probably closed it again, as the rule `stale-close` has it.
   */
  readonly event: 'opened' | 'closed' | 'closed-by-stranger' | 'misused';
  /** Which life of the value it belongs to; 1 is the oldest that is known. */
  readonly life: number;
  /** The type of the object in that life, as in {@link HandleObject}. */
  readonly type: string;
  /** For a close, also one that was refused: the life of another opener that the same code had closed before. */
  readonly closerOf?: number;
  readonly call?: string;
  readonly threadId?: number;
  /** Milliseconds since the target was started or attached to. */
  readonly timeMs?: number;
  readonly stack: Stack;
}

/** The sections in which the calls of a finding were made. */
export interface Sections {
  /** Those of the calls that opened its handles. */
  readonly opened?: readonly SectionPart[];
  /** Those of the call that is the mistake; absent for a leak. */
  readonly called?: readonly SectionPart[];
  /** In how many sections the site left handles open at the end: absent without `leaksBySection`, and for none. */
  readonly leftIn?: number;
}

/** Calls that were made in the same section. */
export interface SectionPart {
  /** Its name; several names where all of these were open, and it is not known which of them made the calls. */
  readonly names: readonly string[];
  /** How many there are, where {@link names} lacks some. Without names: the number of all further parts together. */
  readonly of?: number;
  /** Handles of a leak, or different calls. */
  readonly count: number;
}

/** How much of a finding a baseline accepts: docs/baseline.md. */
export interface KnownAmount {
  /** As in {@link Finding.count}; with {@link perIteration}, handles that may be left in each iteration. */
  readonly count: number;
  readonly perIteration?: true;
}

/** How the number of a site's open handles moved from iteration to iteration. */
export interface IterationGrowth {
  /** Iterations after the warm-up, that is, those that were judged. */
  readonly iterations: number;
  /** In how many of them more handles were open at the end than at the beginning. */
  readonly grewIn: number;
  /** From the end of the warm-up to the last mark, on average; negative when there are fewer now. */
  readonly handlesPerIteration: number;
}

/** Everything that one audit found, and what it could not see. */
export interface Report {
  readonly schemaVersion: 1;
  readonly tool: { readonly name: string; readonly version: string };
  readonly target: {
    readonly command: readonly string[];
    /** Arguments in {@link command} that the tool added: `--js`. */
    readonly added?: readonly string[];
    readonly pid: number;
    /** It was running before the tool came. */
    readonly attached?: true;
    /** Unsigned; absent while the target still runs. */
    readonly exitCode?: number;
  };
  /**
   * Findings of every {@link FindingStatus}; only the `new` ones ask for something to be done. Errors come first, then
   * warnings, then notes; within a level they are ordered by rule and count.
   */
  readonly findings: readonly Finding[];
  readonly completeness: Completeness;
  /** Modules whose functions lack names in stacks of {@link findings}, by name; absent when there are none. */
  readonly modulesWithoutNames?: readonly ModuleWithoutNames[];
  /** The suppressions in force, in order: all that were given, and the default ones that matched a finding. */
  readonly suppressions?: readonly SuppressionUse[];
  /** The baseline that the findings were compared with. */
  readonly baseline?: BaselineUse;
  /** The processes of a tree, in the order in which they were started; absent when there was only one. */
  readonly processes?: readonly ProcessSummary[];
  /** The runs of a repeated audit, in order. {@link target} is then one of them. */
  readonly runs?: readonly RunSummary[];
  readonly stats: Statistics;
  /** The open handles while the program ran; absent unless they were asked for. With {@link runs}, of one run. */
  readonly openOverTime?: OpenOverTime;
}

/** How many handles were open at some moments, in all processes of the report together. */
export interface OpenOverTime {
  /**
   * The moments, in whole milliseconds since recording began: ascending, at most 200, and about as far from each other.
   * The last one is that of the judgement, or of the last look at a process that goes on.
   */
  readonly timesMs: readonly number[];
  /** The types of which any were open, in the order of their names. */
  readonly types: readonly {
    readonly type: string;
    /** One for each of {@link timesMs}. */
    readonly counts: readonly number[];
  }[];
}

/** A module of the program, some functions of which have no names in a report. */
export interface ModuleWithoutNames {
  /** As in {@link Frame.module}; `?` for code outside of all modules. */
  readonly module: string;
  readonly why: MissingNames;
  /** The PDB, as the linker spelt its path, or the name of the separate debug file. */
  readonly debugFile?: string;
  /** The name of the PDB's directory on a symbol server: its GUID and its age, in hexadecimal digits. */
  readonly pdbId?: string;
  /** Why a symbol store or server of the symbol path did not give the PDB. */
  readonly trouble?: string;
}

/**
 * Why functions have no names.
 *
 * - `pdb-not-found`: the module names a PDB, and the one with its GUID was not found;
 * - `debug-file-not-read`: the debug information is in a file of its own, which this tool does not read;
 * - `no-debug-information`: the module was built without debug information, or was stripped of it;
 * - `partly-covered`: the module has debug information, but not of these functions;
 * - `managed`: a .NET assembly, which has no native symbols;
 * - `made-at-run-time`: the code is in no module, as that of a JIT compiler;
 * - `file-unavailable`: the module's file is gone, was replaced, or may not be read.
 */
export type MissingNames =
  | 'pdb-not-found'
  | 'debug-file-not-read'
  | 'no-debug-information'
  | 'partly-covered'
  | 'managed'
  | 'made-at-run-time'
  | 'file-unavailable';

/** A line of suppressions. */
export interface SuppressionLine {
  /** As it was written, without its comment. */
  readonly line: string;
  /** `default`, or the file that it stands in. */
  readonly source: string;
  /** 1-based. For an entry of a configuration file, its place in the list. */
  readonly lineNumber: number;
  /** Why it is accepted, as its author wrote. */
  readonly reason?: string;
  /** The last day on which it suppresses, as `2027-01-31`, in UTC. */
  readonly expires?: string;
}

/** A line of suppressions, and how many findings it suppressed. */
export interface SuppressionUse extends SuppressionLine {
  /** 0 for a line that matched none, and for one that has expired. */
  readonly findings: number;
  /** Its last day is over: it suppresses nothing any more. */
  readonly expired?: true;
}

/** A baseline, and what it has that the findings have not. */
export interface BaselineUse {
  /** Its path, relative to the working directory where that is shorter. */
  readonly file: string;
  /** Findings that it knows. */
  readonly entries: number;
  /** Entries that accept more than was found, in the order of the file. */
  readonly stale: readonly StaleEntry[];
  /** The changes to the file before the findings were compared with it; absent when it was only read. */
  readonly changes?: BaselineChanges;
}

/** An entry of a baseline that accepts more than was found. */
export interface StaleEntry extends KnownAmount {
  readonly rule: Rule;
  readonly fingerprint: string;
  /** The type of the object and the functions that led there, in words. */
  readonly site: string;
  /** How much was found; 0 when the finding is gone. */
  readonly found: number;
}

/** How many entries of a baseline were changed. */
export interface BaselineChanges {
  readonly added: number;
  readonly raised: number;
  readonly lowered: number;
  readonly dropped: number;
}

/** One of several runs of a target. */
export interface RunSummary {
  readonly pid: number;
  /** Unsigned; absent when it was still running. */
  readonly exitCode?: number;
  readonly durationMs: number;
}

/** How much was seen in an audit. */
export interface Statistics {
  /** Wall-clock time from the target's first instruction to the judgement point. */
  readonly durationMs: number;
  /** Handle-opening calls that succeeded. */
  readonly opens: number;
  /** Closes that succeeded. */
  readonly closes: number;
  /** Handles in the kernel's table at the judgement point. */
  readonly openHandles: number;
  /** System calls hooked, of those that this system's ntdll exports. */
  readonly hookedCalls: number;
  readonly distinctStacks: number;
  /** Iterations that were marked; absent when none were to be. */
  readonly iterations?: number;
  /** Sections that were begun; absent when none were. */
  readonly sections?: number;
}
