import type { CallLedger, LedgerCall } from '../call-ledger.ts';
import type { HandleObject, Stack } from '../model.ts';
import type { CallRecord, KeptHandle, Mark, OtherProcess } from '../evidence-model.ts';
import type { SectionTally } from './section-tally.ts';
import type { LiveStacks } from './live-stacks.ts';

/** The sources of evidence. None of them asks the target: its live state is passed to {@link gather}. */
export interface EvidenceSources {
  readonly ledger: CallLedger;
  readonly symbols: StackReader;
  /** The target has loaded win32u.dll: the system has opened an event for its windows. */
  readonly hasWindows: boolean;
  /** FILETIME at which recording began. */
  readonly startTime: bigint;
  /** The counts of open handles at each mark; absent when no marks were to come. */
  readonly markCounts?: CountsAtMarks;
  /** The labelled sections of the target's work; absent when none were to come. */
  readonly sections?: SectionsSeen;
  /** The threads that lived at the judgement point; absent when they could not be seen. */
  readonly live?: LiveStacks;
  /** The audit was aborted: the target would have run on. */
  readonly isAborted?: boolean;
  /** The target was looked at in passing, and goes on. */
  readonly goesOn?: boolean;
  /** A fast fail ended the target, which no call shows. */
  readonly hasFailedFast?: boolean;
  /** The dealings of other processes under audit with its handles; absent when there are none. */
  readonly others?: OtherProcesses;
}

/** The calls of other processes that concern a target's handles. */
export interface OtherProcesses {
  /** The last calls that opened handles in the target, each value once. */
  readonly opened: ReadonlyMap<bigint, CallOfOther>;
  /** The last calls that closed handles of the target, each value once. */
  readonly closed: ReadonlyMap<bigint, CallOfOther>;
  /** Handles that its children had open when it had closed its own. */
  readonly kept: readonly KeptByChild[];
}

/** A call of another process, with its stack resolved there. */
export interface CallOfOther extends Omit<CallRecord, 'timeMs'> {
  readonly by: OtherProcess;
  /** FILETIME. */
  readonly time: bigint;
  /** `Unknown` where the other process did not know it. */
  readonly objectType: string;
}

/** {@link KeptHandle}, before the close has its stack. */
export interface KeptByChild extends Omit<KeptHandle, 'closed'> {
  readonly closed: LedgerCall;
  /** The opening of the parent's handle: its stack id there. */
  readonly openedStackId: number;
}

/** Gives addresses their names. */
export interface StackReader {
  /** @param time FILETIME at which the stack was there; absent where it is not known */
  resolveStack(addresses: readonly bigint[], time?: bigint): Stack;
  /** The module that holds an address; `undefined` for one outside of all modules. */
  moduleOf(address: bigint): { readonly name: string; readonly isSystem: boolean } | undefined;
  /** Where the innermost call by the program returns to; `undefined` where no code of its own is on the stack. */
  programAddress(addresses: readonly bigint[]): bigint | undefined;
}

/** How many handles of each site were open at each mark. */
export interface CountsAtMarks {
  readonly marks: readonly Mark[];
  /** By {@link siteKey}. */
  readonly sites: ReadonlyMap<string, SiteAtMarks>;
  /** The counts of several keys that are one site, added up: one for each mark. */
  countsOf(keys: readonly string[]): readonly number[];
}

/** A site in the ledger, and how many of its handles were open at each mark. */
export interface SiteAtMarks {
  readonly opened: LedgerCall;
  readonly objectType: string;
  /** One for each mark. */
  readonly counts: readonly number[];
}

/** The labelled sections of the target's work. */
export interface SectionsSeen {
  /**
   * The names of the sections in one of which a call was made; none for a call outside of all.
   *
   * @param processId of the process that made it; by default the target
   */
  namesOf(call: Pick<LedgerCall, 'threadId' | 'time'>, processId?: number): readonly string[];
  /** The sites that left handles open at the ends of sections, by {@link siteKey}; none where that is not judged. */
  readonly left: ReadonlyMap<string, SiteLeft>;
}

/** A site in the ledger that left handles open at the ends of the sections in which they were opened. */
export interface SiteLeft {
  readonly opened: LedgerCall;
  readonly objectType: string;
  /** In how many sections. */
  readonly sections: number;
  readonly tally: SectionTally;
}

/** One line of the kernel's handle table, or of the ledger where there is no table any more. */
export interface TableEntry {
  readonly value: bigint;
  readonly type: string;
  readonly access: number;
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}

/** The line of a handle that only the ledger knows: it has neither access nor flags. */
export function entryOf(value: bigint, type: string): TableEntry {
  return { value, type, access: 0, inheritable: false, protectFromClose: false };
}

/** The result of a look at an open handle. */
export interface Description {
  readonly object: HandleObject;
  /** For a process or thread: whether it has ended, and when (FILETIME). */
  readonly ended?: boolean;
  readonly endedTime?: bigint;
  /** Why the object has no name here. */
  readonly nameProblem?: string;
}
