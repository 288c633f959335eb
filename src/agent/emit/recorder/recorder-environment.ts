import type { Label } from '../../asm/operands.ts';
import type { LinkedEnvironment } from '../../linkage/link-slots.ts';

/** The routines of the quarantine, which quarantine.ts explains. */
export interface Quarantine {
  /** `u32 isQuarantined(rax = HANDLE value)`: 1 if the value must be refused. Keeps the argument registers. */
  readonly isQuarantined: Label;
  /**
   * `void awaitClose(rax = HANDLE value)`: waits until another thread's close of the value is recorded. Keeps the
   * argument registers.
   */
  readonly awaitClose: Label;
  /** `void enterQuarantine(HANDLE value)`: begins the quarantine of a value whose close was recorded. */
  readonly enterQuarantine: Label;
  /**
   * `HANDLE moveOutOfQuarantine(HANDLE value)`: moves an object that was just opened away from quarantined values, and
   * returns the value that the program gets.
   */
  readonly moveOutOfQuarantine: Label;
}

/** The routines of stops, which hooks/stop-there.ts explains. */
export interface Stops {
  /** `void noteStop(u32 kind, u32 subject)`: this thread is to ask for a stop when its call returns. */
  readonly noteStop: Label;
  /** `u32 stopThere(u64* returnAddress, u64 result)`: 1 if the thread is to go on by {@link breakThere}. */
  readonly stopThere: Label;
  /** `u32 askAuditor(stop*)`: asks the auditor about an entry, and waits for its answer: 1 for a breakpoint. */
  readonly askAuditor: Label;
  /** `u32 countWatched(u32 watch)`: how many handles are open of a watch's stacks. */
  readonly countWatched: Label;
  /** A breakpoint in the place of a hook's return. */
  readonly breakThere: Label;
}

/**
 * Operands and labels for the routines that write the ledger.
 *
 * Hooks call these routines. They change volatile registers only, because the stack walk needs the others as the target
 * left them. They use no lock: only the thread to which the kernel gave a handle value may open its slot, and a close
 * takes effect only if the slot still has the generation that the closer saw before its call.
 */
export interface RecorderEnvironment extends LinkedEnvironment {
  readonly captureStack: Label;
  /** `u32 growSlots(u64 index)`: gives memory to a slot; 0 where there is none (grow-ledger.ts). */
  readonly growSlots: Label;
  /** `void* keepMisuseLives(void* misuse, void* earlierLives)` (earlier-lives.ts). */
  readonly keepMisuseLives: Label;
  /** Absent when the kernel may give closed values out again at once. */
  readonly quarantine?: Quarantine;
  /** Absent when no thread is to be stopped. */
  readonly stops?: Stops;
}
