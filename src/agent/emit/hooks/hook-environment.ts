import type { HookRow } from '../../tables/hook-row.ts';
import type { Assembler } from '../../asm/assembler.ts';
import type { Label, Memory } from '../../asm/operands.ts';
import type { RecorderEnvironment } from '../recorder/recorder-environment.ts';

/** The routines that hooks call. Each is emitted once. */
export interface HookEnvironment extends RecorderEnvironment {
  readonly recordOpen: Label;
  readonly recordClose: Label;
  readonly countMisuse: Label;
  readonly internMisuse: Label;
  readonly internWrongCloser: Label;
  readonly findRuntimeObject: Label;
  readonly findStranger: Label;
  readonly findTruncated: Label;
  readonly claimRuntimeObject: Label;
  readonly openRuntimeObject: Label;
  readonly closeRuntimeObject: Label;
  readonly noteInherited: Label;
  readonly noteElsewhere: Label;
  readonly findUnknownHandle: Label;
  readonly isThisProcess: Label;
  readonly exitGate: Label;
  readonly openLent: Label;
  readonly followChild: Label;
  /** Names of the mutants that the auditor holds until it has read everything, and until it has seen all threads. */
  readonly judgedName: Label;
  readonly threadsSeenName: Label;
  readonly fileOrSocketType: Label;
  readonly noteAccept: Label;
  readonly resolveAccept: Label;
  readonly clearWalkCache: Label;
  readonly noteImage: Label;
  readonly hookFunctions: Label;
  readonly findSweep: Label;
}

/** The body of a hook in the making: the hook of one row, or of all rows that are alike. */
export interface HookBody {
  readonly asm: Assembler;
  /** For a shared body the first of its rows. They differ only in their names, and in the types of what they open. */
  readonly row: HookRow;
  /** The row's number in the ledger, or the place where a shared body keeps it. */
  readonly rowNumber: number | Memory;
  readonly environment: HookEnvironment;
  /** Copies the stack arguments, makes the call, and keeps its result; eax holds the status. */
  passThrough(): void;
  /** Returns the kept result. */
  return(): void;
}

/** The hook of one row in the making. */
export interface Hook extends HookBody {
  readonly rowNumber: number;
}
