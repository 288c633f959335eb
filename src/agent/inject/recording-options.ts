/** How a target is recorded. */
export interface RecordingOptions {
  /** How many handle values can be recorded, a power of two. Calls about values beyond are counted. */
  readonly slotCount?: number;
  /** How many closed values are quarantined, a power of two up to 65,536; absent: none. */
  readonly quarantine?: number;
  /** How many earlier lives of each value are kept, a power of two up to 32. */
  readonly history?: number;
  /** Stacks note which instruction of a function in V8's interpreter made a call. */
  readonly notesBytecode?: boolean;
  /** Every remembered frame size is checked against the documented unwinder: slow, for tests. */
  readonly checked?: boolean;
}

/** Handle values up to four million, for the kernel counts in fours: more than almost any program reaches. */
export const DEFAULT_SLOT_COUNT: number = 1 << 20;
