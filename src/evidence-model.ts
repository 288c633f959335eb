/**
 * The evidence of one target at its judgement point: what was read from it, before the rules look at it. It is plain
 * data, as in model.ts.
 */

import type { HandleObject, Sections, Stack } from './model.ts';

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
  /** The other process that {@link opened} them here; absent when the target did so itself. */
  readonly openedBy?: OtherProcess;
  /** When the oldest of them was opened: {@link CallRecord.timeMs}. Absent for handles that are closed. */
  readonly oldestTimeMs?: number;
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
  /** The labelled sections in which they were opened; absent where none was. */
  readonly sections?: Sections;
  /** None is open at the judgement point. {@link count} is how many were left open at the ends of sections. */
  readonly closedAfterSections?: true;
}

/** Another process under audit. */
export interface OtherProcess {
  readonly pid: number;
  /** Whole path of its program. */
  readonly image: string;
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
 * - `crash`: an exception ended it that nothing handled, or `abort` or a fast fail did;
 * - `outside`: another process ended it;
 * - `interrupted`: Ctrl-C or its like ended it, because the program does not handle that;
 * - `aborted`: it still ran when the audit was aborted;
 * - `goes-on`: it runs, and was looked at in passing.
 */
export interface Ending {
  readonly cause: 'call' | 'crash' | 'outside' | 'interrupted' | 'aborted' | 'goes-on';
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
  /** By kernel type, how many handles are still open that were there before recording began. */
  readonly openBefore?: ReadonlyMap<string, number>;
}

/** A look at a process that was running before, and may go on. */
export interface Watch {
  /** It goes on, or was ended by another process: what is open may yet be closed, or would have been. */
  readonly goesOn: boolean;
  /** Milliseconds from the beginning of the recording to the look. */
  readonly durationMs: number;
  /** The handles were counted after each interval of so many ms; absent where the program marked iterations. */
  readonly everyMs?: number;
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
  /** The call that was refused, or that closed the object in the wrong way. */
  readonly offending: CallRecord;
  /**
   * For a quarantined value: the object that was opened next after its close, and would have the value now. Absent
   * without a quarantine, and when nothing was opened since.
   */
  readonly victim?: { readonly object: HandleObject; readonly opened: Stack };
  /** How the value was last opened before the misuse; absent when it never was. */
  readonly opened?: PastCall;
  /** The other process that {@link opened} it here; absent when the target did so itself. */
  readonly openedBy?: OtherProcess;
  /**
   * The value was open by an opening that the recorder did not see: the target was born with it, or another process put
   * it there.
   */
  readonly openedUnseen?: true;
  /** How the value was last closed before the misuse; absent when it is open or never was closed. */
  readonly closed?: PastCall;
  /** The other process that {@link closed} it here; absent when the target did so itself. */
  readonly closedBy?: OtherProcess;
  /**
   * Lives that the value had before, the latest first; absent where none is known, and where they could not matter. The
   * owner of one of them may have made the last close.
   */
  readonly earlierLives?: readonly EarlierLife[];
  /** Lives that the first value had before its last one, the oldest first; absent where none is known. */
  readonly lives?: readonly PastLife[];
  /** The labelled sections in which the handle was opened, and the call was made for the first time. */
  readonly sections?: Sections;
}

/** A call of which only the stack is certain to be known. */
type PastCall = Pick<CallRecord, 'stack'> & Partial<CallRecord>;

/** A life that a handle value had before its last one, with its calls. */
export interface PastLife {
  readonly object: HandleObject;
  readonly opened: CallRecord;
  /** Absent where it is not known. */
  readonly closed?: CallRecord;
}

/** A life that a handle value had before its last one, with both of its stacks. */
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
  /** The labelled sections in which the handle was opened and the child was started. */
  readonly sections?: Sections;
  /** Children that had the handle open when the target had closed its own; absent when none is known. */
  readonly kept?: readonly [KeptHandle, ...KeptHandle[]];
}

/** A handle that a child inherited, and had open when its parent had closed its own. */
export interface KeptHandle {
  readonly value: bigint;
  readonly object: HandleObject;
  /** The same object for all handles of a child: its id may be that of another child, too. */
  readonly child: OtherProcess;
  /** The parent's close. */
  readonly closed: CallRecord;
  /** Milliseconds from the close to the last look at the child. */
  readonly keptMs: number;
  /** The child had it until its end, and has not just kept it so far. */
  readonly untilEnd: boolean;
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
  /** Absent for a target that was recorded from its first instruction. */
  readonly watch?: Watch;
  /** Inheritable handles that the target was born with, beside its standard streams. */
  readonly inherited?: readonly OpenHandle[];
  /** Handles of the target that its child processes inherited. */
  readonly inheritedByChildren?: readonly Inheritance[];
}
