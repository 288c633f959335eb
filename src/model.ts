/**
 * The plain data that flows through the tool: evidence read from a target, findings made of it, the report.
 * Everything in it survives `JSON.stringify` but for `bigint`s, which the reporters print as `0x…`.
 */

import type { Completeness } from './completeness.ts';
import type { Level, Rule } from './rules.ts';

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
  /**
   * The compiler put the function into its caller, which is the next frame. It has no return address of its own; the
   * symbols know of it.
   */
  readonly inlined?: true;
  /** The module belongs to Windows (or Wine), not to the program. */
  readonly system?: true;
  /** Code that the compiler's runtime brought into the program (`mainCRTStartup`), not the programmer's own. */
  readonly runtime?: true;
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

/** One hooked call, as the recorder in the target saw it. */
export interface CallRecord {
  /** The system call: `NtCreateEvent`. */
  readonly call: string;
  readonly threadId: number;
  /** Milliseconds since the target was started or attached to; the resolution is the system clock tick. */
  readonly timeMs: number;
  readonly stack: Stack;
}

/**
 * Handles that are still open, were opened by the same call from the very same stack, and are of one type.
 * One hundred thousand leaked handles are a handful of these.
 */
export interface OpenSite {
  readonly object: HandleObject;
  /** How many handles; at least 1. */
  readonly count: number;
  /** Up to 10 of them, ascending. */
  readonly examples: readonly OpenHandle[];
  /**
   * How they were opened; absent when the recorder did not see it: they were inherited, or another process put them
   * there.
   */
  readonly opened?: CallRecord;
  /** Where a handle of this type from the same opening stack was closed last; absent when none ever was. */
  readonly siblingsClosedAt?: Stack;
  /**
   * Other stacks by which the very same instruction of the program opened handles of this type that were closed:
   * perhaps another round of an unrolled loop, perhaps another caller.
   */
  readonly closedElsewhere?: readonly { readonly opened: Stack; readonly closed: Stack }[];
  /** Threads that opened some of them and still ran at the judgement point. */
  readonly openers?: readonly RunningOpener[];
  /** Threads that still ran at the judgement point inside of functions that closed siblings. */
  readonly closers?: readonly RunningCloser[];
  /** The handles that were opened last, the newest first; as many as there are {@link closers}, or fewer. */
  readonly newest?: readonly bigint[];
  /** How many of them are process or thread handles whose object had ended before the target itself began to exit. */
  readonly endedCount: number;
  /** The function that closed them because the program had left them open (`WSACleanup`); none of them is open now. */
  readonly sweptBy?: string;
  /** The program never closed them; Windows or the program's runtime did, while the process exited. */
  readonly closedAtExit?: true;
  /** Each of them was given to a function that closes another kind of object. */
  readonly givenToWrongCloser?: true;
  /** How many were open at each of {@link Evidence.marks}; absent without marks. */
  readonly countsAtMarks?: readonly number[];
  /** None is open at the judgement point. {@link count} is that of the last mark, and may be 0. */
  readonly closedAfterMarks?: true;
}

/** A thread that ran at the judgement point and had not returned from some calls of an earlier stack. */
export interface RunningThread {
  readonly threadId: number;
  /** Index of the innermost frame of that stack that it had not left; it had left none of those beyond either. */
  readonly liveFrom: number;
}

/** A thread that opened handles of a site, as seen from the stack by which it did. */
export interface RunningOpener extends RunningThread {
  /** How many of the handles it opened. */
  readonly count: number;
  /** When it opened the last of them: {@link CallRecord.timeMs}. */
  readonly lastTimeMs: number;
  /** The last one, if it is the last that it opened from that stack: absent when it has closed a later one. */
  readonly last?: bigint;
}

/** A thread inside of functions that closed a handle, as seen from the stack by which that was done. */
export interface RunningCloser extends RunningThread {
  readonly closed: Stack;
}

/**
 * How a target came to its judgement point.
 *
 * - `call`: one of its threads ended it, by a call or by returning from `main`;
 * - `crash`: an exception ended it that nothing handled, or `abort` did;
 * - `outside`: another process ended it;
 * - `aborted`: it still ran when the audit was aborted.
 */
export interface Ending {
  readonly cause: 'call' | 'crash' | 'outside' | 'aborted';
  /** The thread that ended it. */
  readonly threadId?: number;
  /** The call that ended it; absent when its stack is not known. */
  readonly stack?: Stack;
}

/** The end of an iteration of the target's work, at which its open handles were counted. */
export interface Mark {
  /** Milliseconds since the target was started. */
  readonly timeMs: number;
  /** How many iterations ended since the mark before; more than one when marks came faster than they were counted. */
  readonly iterations: number;
}

/** One handle that is still open. */
export interface OpenHandle {
  readonly value: bigint;
  readonly object: HandleObject;
  /** `GrantedAccess` bits. */
  readonly access: number;
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}

/**
 * A call that failed because of its handle, or should not have been made with it. The same misuse from the same stacks
 * is one record.
 */
export interface Misuse {
  /**
   * `closed-as-handle`: CloseHandle closed a socket, a registry key or the handle of a {@link Wrapper}, and Windows did
   * not refuse it. `wrong-closer`: a function was given an open {@link object} of a kind that it does not close.
   */
  readonly kind: 'close' | 'use' | 'closed-as-handle' | 'wrong-closer';
  /** For a `wrong-closer`. */
  readonly outcome?: WrongCloserOutcome;
  /**
   * NTSTATUS that the call returned, unsigned: 0xc0000008 invalid handle, 0xc0000024 type mismatch, 0xc0000235 not
   * closable.
   */
  readonly status: number;
  /** How often it happened; at least 1. */
  readonly count: number;
  /** Up to 8 handle values it happened with, in order of first appearance. */
  readonly values: readonly bigint[];
  /** The object that the value had stood for; absent when the recorder did not see it opened. */
  readonly object?: HandleObject;
  /** The call that was refused. */
  readonly offending: CallRecord;
  /**
   * For a quarantined value: the object that was opened next after its close, and would have the value now. Absent
   * without a quarantine, and when nothing was opened since.
   */
  readonly victim?: { readonly object: HandleObject; readonly opened: Stack };
  /** How the value was last opened before the misuse; absent when it never was. */
  readonly opened?: PastCall;
  /**
   * The value was open by an opening that the recorder did not see: the target was born with it, or another process put
   * it there.
   */
  readonly openedUnseen?: true;
  /** How the value was last closed before the misuse; absent when it is open or never was closed. */
  readonly closed?: PastCall;
  /**
   * Lives that the value had before, the latest first; absent where none is known, and where they could not matter. The
   * owner of one of them may have made the last close.
   */
  readonly earlierLives?: readonly EarlierLife[];
}

/** A call of which only the stack is certain to be known. */
export type PastCall = Pick<CallRecord, 'stack'> & Partial<CallRecord>;

/** A life that a handle value had before its last one. */
export interface EarlierLife {
  readonly object: HandleObject;
  readonly opened: Stack;
  readonly closed: Stack;
}

/** The fate of an object in the hands of a wrong closer. `never-returned`: a call crashed, say. */
export type WrongCloserOutcome = 'stayed-open' | 'closed' | 'never-returned';

/**
 * A handle that a child process inherited because it was inheritable and open, beside the child's standard handles. The
 * same from the same stacks is one record.
 */
export interface Inheritance {
  /** How often: once for each handle and child. */
  readonly count: number;
  /** The first handles, with what is known of them; at least one. */
  readonly handles: readonly { readonly value: bigint; readonly object: HandleObject }[];
  readonly opened: CallRecord;
  /** The call that started the child. */
  readonly started: CallRecord;
  /**
   * The child was given it as a file descriptor, in the block by which C runtimes and libuv pass them on (STARTUPINFO's
   * lpReserved2).
   */
  readonly asDescriptor?: true;
}

/** A stack that opened handles which were closed while the program ran, and the stack that closed one last. */
export interface Closing {
  readonly opened: Stack;
  readonly closed: Stack;
}

/** Everything that is known of one target at the judgement point. */
export interface Evidence {
  readonly open: readonly OpenSite[];
  readonly misuses: readonly Misuse[];
  /**
   * Every closing that is known; absent where no misuse has {@link Misuse.earlierLives}, and where there are too many.
   */
  readonly closings?: readonly Closing[];
  /** Absent where it does not matter to the evidence. */
  readonly ending?: Ending;
  /** In order; absent when iterations were not marked. */
  readonly marks?: readonly Mark[];
  /** Inheritable handles that the target was born with, beside its standard streams. */
  readonly inherited?: readonly OpenHandle[];
  /** Handles of the target that its child processes inherited. */
  readonly inheritedByChildren?: readonly Inheritance[];
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
  /** Stable across builds, machines and runs: 16 hexadecimal digits. */
  readonly fingerprint: string;
  /** For a leak, when iterations were marked: how the number of open handles moved after the warm-up. */
  readonly growth?: IterationGrowth;
  /** When the target was run repeatedly: {@link count} in each run, in order; 0 for a run without the finding. */
  readonly runs?: readonly number[];
  /** A line that suppresses this finding and its like: docs/suppressions.md. */
  readonly suppression?: string;
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
    readonly pid: number;
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
  /** The runs of a repeated audit, in order. {@link target} is then one of them. */
  readonly runs?: readonly RunSummary[];
  readonly stats: Statistics;
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
  /** 1-based. */
  readonly lineNumber: number;
  /** Why it is among the default ones. */
  readonly reason?: string;
}

/** A line of suppressions, and how many findings it suppressed. */
export interface SuppressionUse extends SuppressionLine {
  /** 0 for a line that matched none. */
  readonly findings: number;
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
}
