import type { Gap } from './completeness.ts';
import type { Wrapper } from './model.ts';
import type { Misuse, WrongCloserOutcome } from './evidence-model.ts';

/**
 * In a stack of addresses: the address before is the call of a function in V8's interpreter, and the lower half is the
 * offset of the instruction that made it. No address of user space has these bits.
 */
export const BYTECODE_OFFSET_MARK: bigint = 0x4a53n << 48n;

/** Whether an entry of a stack is such an offset, and no address. */
export function isBytecodeOffset(entry: bigint): boolean {
  return entry >> 32n === BYTECODE_OFFSET_MARK >> 32n;
}

/**
 * In a stack of addresses: those behind it are of the call by which another thread asked for this one. No address of
 * user space has these bits.
 */
export const REQUEST_MARK: bigint = 0x5251n << 48n;

/** The return addresses of a stack that lie on the stack of its own thread. */
export function ownAddresses(stack: readonly bigint[]): readonly bigint[] {
  const end = stack.indexOf(REQUEST_MARK);
  return (end === -1 ? stack : stack.slice(0, end)).filter((entry) => !isBytecodeOffset(entry));
}

/** One recorded call; its stack is an id until it is asked for with {@link CallLedger.stack}. */
export interface LedgerCall {
  /** Name of the call (`NtCreateEvent`, `closesocket`); `undefined` for what was there before recording began. */
  readonly call: string | undefined;
  readonly threadId: number;
  /** FILETIME: 100 ns since 1601. */
  readonly time: bigint;
  /** 0 when no stack was kept. */
  readonly stackId: number;
}

/** The life of a handle value: its last opening and, if it belongs to the same generation, its last close. */
export interface LedgerLife {
  readonly isOpen: boolean;
  /** How often the value was opened, this time included. */
  readonly generation: bigint;
  /** The kernel's type name, `Socket`, or `Unknown`. */
  readonly objectType: string;
  readonly opened: LedgerCall | undefined;
  readonly closed: LedgerCall | undefined;
  /** It was given to a function that closes another kind of object. */
  readonly givenToWrongCloser?: boolean;
}

/** A call that was refused, or should not have been made, as often as it was made from the same stacks. */
export interface LedgerMisuse {
  readonly kind: Misuse['kind'];
  /** NTSTATUS, unsigned. */
  readonly status: number;
  readonly count: number;
  /** The first handle values, in order of appearance. */
  readonly values: readonly bigint[];
  readonly offending: LedgerCall;
  /** The types of object that the call is made for. */
  readonly worksOn: 'any' | readonly string[];
  /**
   * Name of the DLL, in lower case, whose function refused the value by itself; absent for a system call. The system
   * calls that the function made stand in records of their own.
   */
  readonly functionOf?: string;
  /**
   * The function may have used handles of any value: those beneath a pseudo console, or what it found at an address
   * that was no object of its kind.
   */
  readonly mayUseOthers?: true;
  /** For a wrong closer: what came of its calls. */
  readonly outcome?: WrongCloserOutcome;
  /** The life of the value before the call. */
  readonly life: LedgerLife;
  /**
   * Lives that the value had before {@link life}, the latest first, as far as they are known: a few at most. Each has
   * an opening; its close may be unknown.
   */
  readonly earlierLives?: readonly LedgerLife[];
  /** The C runtime's object that stood for the handle. */
  readonly wrapper?: Wrapper;
  /** For a quarantined value: the first handle that was opened after its close; stack 0 when that was too long ago. */
  readonly victim?: { readonly objectType: string; readonly stackId: number };
}

/** A child process that was started while handles were inheritable, as often as from the same stacks. */
export interface LedgerInheritance {
  /** Once for each handle and child. */
  readonly count: number;
  readonly values: readonly bigint[];
  /** The life of the first value when it was inherited for the first time. */
  readonly life: LedgerLife;
  /** The first call that started such a child. */
  readonly started: LedgerCall;
  /** The child was given the handle as a descriptor, by STARTUPINFO's lpReserved2. */
  readonly asDescriptor: boolean;
}

/**
 * Handles that the program left open, and that a function for such leftovers (WSACleanup) closed, as often as from the
 * same stacks.
 */
export interface LedgerSweep {
  readonly count: number;
  readonly values: readonly bigint[];
  /** The life of the first value when it was closed. */
  readonly life: LedgerLife;
  /** The function's first close of such a handle, under the function's name. */
  readonly swept: LedgerCall;
  /** The C runtime's object that stood for the first value. */
  readonly wrapper?: Wrapper;
}

/** A call by which the process opened or closed a handle of another process: the last one for each value. */
export interface LedgerCallElsewhere {
  readonly kind: 'opened' | 'closed';
  /** The other process. */
  readonly processId: number;
  /** The handle's value there. */
  readonly value: bigint;
  /** `Unknown` where the handle that was duplicated is not this process's. */
  readonly objectType: string;
  readonly call: LedgerCall;
}

/** The end that a process made for itself. */
export interface LedgerExit {
  readonly threadId: number;
  /** An exception that nothing handled ended it, and not a call. */
  readonly byException: boolean;
  /** Stack of the call, by which one of its threads ended it; 0 when no stack was kept. */
  readonly stackId: number;
  /** The handle to the process that it gave to that call: nothing can close it any more. */
  readonly handle?: bigint;
}

/** An image that was mapped into the target at some time. */
export interface LedgerImage {
  readonly base: bigint;
  readonly sizeBytes: number;
  /** In the kernel's spelling: `\\Device\\HarddiskVolume3\\…`, `\\??\\C:\\…`. Comes from the target. */
  readonly path: string;
}

/**
 * A recorder's knowledge of one process: the lives of its handle values, the misuses, and the gaps.
 *
 * Evidence needs nothing else of a recorder. So the agent's ledger is one source
 * and the events of another recorder can be a second. The target may have written to what lies behind it: every
 * implementation checks what it reads.
 */
export interface CallLedger {
  /** @throws LedgerDamagedError when the record cannot be what the recorder wrote */
  check(): void;
  /** The recorded life of a handle value; `undefined` when it was never seen or has no room. */
  life(value: bigint): LedgerLife | undefined;
  /** Values that are recorded as open, ascending. */
  openValues(): Iterable<bigint>;
  /**
   * Objects that are recorded as open, and that a library hands out although it keeps the handles beneath for itself:
   * pseudo consoles. `value` is the program's name for one.
   */
  openObjects(): Iterable<{ readonly value: bigint; readonly life: LedgerLife }>;
  /** The last openings of values that are closed, as far as some threads made them. */
  openingsOfClosed(threadIds: ReadonlySet<number>): Iterable<LedgerCall>;
  /** Values whose last close was made while the process exited, ascending. */
  valuesClosedWhileExiting(): Iterable<bigint>;
  /** FILETIME at which the process began to exit; `undefined` when it did not exit in an orderly way. */
  exitingTime(): bigint | undefined;
  /** The end that the process made for itself; `undefined` when it was ended from outside, or runs. */
  exit(): LedgerExit | undefined;
  /**
   * A test for values of the kernel's table that are the recorder's own, and mean nothing to the target. It holds while
   * the target stands still: a table may have a million values, and what all of them need is read once.
   */
  recordersOwn(): (value: bigint) => boolean;
  /** The C runtime's object that stands for an open handle; `undefined` for a handle that is the program's own. */
  wrapperOf(value: bigint): Wrapper | undefined;
  misuses(): Iterable<LedgerMisuse>;
  /** Ids of the stacks that opened searches which are open and were given to a wrong closer, once for each search. */
  searchesGivenToWrongCloser(): Iterable<number>;
  inheritances(): Iterable<LedgerInheritance>;
  sweeps(): Iterable<LedgerSweep>;
  callsElsewhere(): Iterable<LedgerCallElsewhere>;
  /** The images that were mapped, in order; one that was unloaded is among them still. */
  images(): Iterable<LedgerImage>;
  /** Return addresses of a stack, innermost first; empty for id 0 and for an id that names no stack. */
  stack(id: number): readonly bigint[];
  /**
   * The type of what was opened with stack `id`; `Unknown` where it is not known. A call that opens handles of several
   * types has one stack for each.
   */
  typeOpenedBy(id: number): string;
  /** Id of the stack by which the program last closed a handle that was opened with stack `id`; 0 when none did. */
  closedBy(id: number): number;
  /** Opening stacks of handles that were closed while the program ran, each with the stack that closed one last. */
  closedStacks(): Iterable<{ readonly id: number; readonly closedBy: number }>;
  /** How many opens and closes succeeded, over all values. */
  totals(): { readonly opens: number; readonly closes: number };
  /** The calls and objects that the recorder missed, as kinds and figures. */
  gaps(): readonly Gap[];
}

/** The name of a site without symbols: its stack, its call and the type of its objects. */
export function siteKey({ stackId, call }: LedgerCall, objectType: string): string {
  return `${stackId} ${call} ${objectType}`;
}
