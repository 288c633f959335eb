import { type Struct, struct } from './struct.ts';

const stopFields = {
  /** 0: free; then {@link STOP_CLAIMED} and the others. */
  state: 'u32',
  threadId: 'u32',
  /** {@link STOP_MISUSE} and the others. */
  kind: 'u32',
  /** The offset of a misuse in its table, or the id of an opening stack. */
  subject: 'u32',
  /** Where the {@link stopPlaces} lie on the thread's stack. */
  places: 'u64',
} as const;

const stopStruct: Struct<typeof stopFields> = struct(stopFields);

/** A moment of a thread at which the auditor may want it to stop: see hooks/stop-there.ts. */
export const stop: Struct<typeof stopFields>['offsets'] = stopStruct.offsets;
export const STOP_SIZE_BYTES: number = stopStruct.sizeBytes;
export const STOP_COUNT = 16;

/** Values on the stack of a thread that waits: offsets from {@link stop.places} on, 64 bits each. */
export const stopPlaces = {
  /** Address of the return address of the call that is about to return. */
  returnAddress: 0x00,
  /** The result of the call. */
  result: 0x08,
  breaks: 0x10,
  /** The caller's registers, as far as the agent has changed them. */
  rdi: 0x20,
  rsi: 0x28,
  rbx: 0x30,
} as const;
export const STOP_PLACES_SIZE_BYTES = 0x38;

/** The thread is filling in the entry. */
export const STOP_CLAIMED = 1;
/** The thread is still at work in its call. */
export const STOP_DUE = 2;
/** The call is about to return, and the thread waits for the auditor. */
export const STOP_REQUESTED = 3;
/** The auditor has seen it. */
export const STOP_TAKEN = 4;
/** The auditor holds the thread: it looks less often whether it may go on. */
export const STOP_HELD = 5;
/** The thread goes on. */
export const STOP_PASS = 6;
/** The thread goes on by a breakpoint, for the debugger that is attached. */
export const STOP_BREAK = 7;

/** A misuse was counted for the first time. */
export const STOP_MISUSE = 1;
/** A handle was opened by a stack that the auditor has not looked at. */
export const STOP_STACK = 2;
/** A handle was opened that is the last of as many as are waited for. */
export const STOP_OPENINGS = 3;

/** Bits beside the type that a stack opened (stackNode.openedType): the auditor has looked at the stack, ... */
export const STACK_SEEN = 0x8000;
/** ... and which of the {@link WATCH_COUNT} watches it belongs to; 0 for none. */
export const STACK_WATCH_SHIFT = 8;
/** Numbers of watches, from 1 on. Entry 0 of the watches' limits says whether there are any. */
export const WATCH_COUNT = 16;
