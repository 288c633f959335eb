import { KEPT_FRAME_COUNT } from '../../model.ts';
import { DEFAULT_HISTORY, EARLIER_LIFE_SIZE_BYTES, EARLIER_LIVES_SLOT_COUNT } from './earlier-life.ts';
import { ELSEWHERE_COUNT, ELSEWHERE_SIZE_BYTES } from './elsewhere.ts';
import { IMAGE_COUNT, IMAGE_SIZE_BYTES } from './image.ts';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES } from './misuse.ts';
import { REQUEST_COUNT, REQUEST_SIZE_BYTES } from './request.ts';
import { RUNTIME_OBJECT_COUNT, RUNTIME_OBJECT_SIZE_BYTES } from './runtime-object.ts';
import { type Struct, struct } from './struct.ts';

/**
 * The layout of the ledger: the memory that the agent in the target writes and the auditor reads. It is one section,
 * mapped into both. The stack pool, the slots and all that follows them have memory as far as they are used
 * (memory-parts.ts). Every offset is in bytes. A value that must be read or written whole is one aligned 64-bit word.
 *
 * ```
 * header | misuse table | images | runtime objects | calls elsewhere | requests | walk cache | stack index
 *        | stack pool | quarantine | recent opens | slots | earlier lives | earlier lives of misuses
 * ```
 *
 * Structures that stand here have their fields below, and a misuse in misuse.ts. For earlier lives see earlier-life.ts.
 */

const headerFields = {
  /** "UNCLOSED" in ASCII, so that a wrong mapping is noticed. */
  magic: 'u64',
  /** Number of slots: how many handle values can be recorded. */
  slotCount: 'u64',
  /** Bytes of the stack pool in use, from its start. It may run past the pool's size when the pool is full. */
  stackPoolUsed: 'u64',
  /** Events about handle values that have no slot. */
  beyondCapacity: 'u32',
  /** Stacks that found no room. */
  droppedStacks: 'u32',
  /** Misuses that found no room. */
  droppedMisuses: 'u32',
  /** Duplications that named a process of which the agent could not find out whether it was this one. */
  unresolvedDuplicates: 'u32',
  /** 1 once the agent's frames are registered with the target's unwinder. */
  unwindRegistered: 'u32',
  /** Walks that needed the documented unwinder. */
  slowWalks: 'u32',
  /** Remembered frame sizes that the documented unwinder contradicted; counted in checked mode only. */
  walkMismatches: 'u32',
  /** Walks that were given up because the walker itself was entered again. */
  nestedWalks: 'u32',
  /** Accepts that are still pending; Wine delivers their handles later. */
  pendingAccepts: 'u32',
  paddingBeforeGate: 'u32',
  /** 0 while the process runs, then {@link GATE_WAITING} and the others. */
  gateState: 'u32',
  /** NTSTATUS of the gate's first refused call. The agent writes it for a debugger; the auditor does not read it. */
  gateStatus: 'u32',
  /** Handles that the gate itself holds. */
  gateHandles: 'u64[2]',
  /** The thread that waits at the gate. */
  gateThread: 'u32',
  /** 1 once the auditor has judged the process at the gate. */
  judged: 'u32',
  /** The exit code that the process gave itself. The agent writes it for a debugger; the auditor does not read it. */
  gateExitCode: 'u64',
  /** One more than the highest slot that was ever used. */
  slotsUsed: 'u64',
  /** Images that were mapped so far; it may exceed the room for them. */
  imageCount: 'u32',
  /** Functions that were hooked when their DLL was mapped. The agent writes it for a debugger. */
  functionsHooked: 'u32',
  /** Functions that were not as expected, or in a DLL that lies elsewhere than in the auditor. */
  functionsMissed: 'u32',
  /** 1 once the process has begun to exit: its other threads have been ended. */
  exiting: 'u32',
  /** {@link PENDING_ACCEPT_COUNT} entries of {@link pendingAccept}. */
  pendingAcceptTable: 'u64[256]',
  /** Where the stack of the thread at the gate begins, innermost end first. */
  gateStackPointer: 'u64',
  /** The thread that made the process exit; 0 while none has. */
  exitThread: 'u32',
  /** Stack id of the call by which it did; 0 for {@link exitByException}. */
  exitStack: 'u32',
  /** 1 when an exception that nothing handles, or a fast fail, ends the process. */
  exitByException: 'u32',
  paddingBeforeDescriptorTime: 'u32',
  /** FILETIME at which the program opened its first descriptor; 0: none yet. */
  firstDescriptorTime: 'u64',
  /**
   * Added to the system's time wherever a call's time is recorded. The auditor raises it by 1 when a section of the
   * target's work begins or ends: calls before and after have different times then, within one clock tick too.
   */
  clockOffset: 'u64',
  /** The handle to itself by which the process ended; 0 when it used none. */
  exitHandle: 'u64',
  paddingBeforeExitingTime: 'u64[10]',
  /** FILETIME at which the process began to exit. */
  exitingTime: 'u64',
  /** Value of the handle that occupies quarantined values; 0 without a quarantine. */
  sentinel: 'u64',
  /** Values that ever entered the quarantine; its low bits are the next position in the ring. */
  quarantineNext: 'u32',
  /** Values that left the quarantine too early, because the kernel had given them to a caller. */
  quarantineLost: 'u32',
  /** With a quarantine: handles opened so far; its low bits are the next position in the ring of recent opens. */
  opens: 'u64',
  /** Runtime objects that found no room. */
  droppedRuntimeObjects: 'u32',
  paddingBeforeInheritance: 'u32[7]',
  /** Requested changes of whether a handle is inheritable; each is counted before it takes effect. */
  inheritanceChanges: 'u32',
  /** Misuses of kind MISUSE_INHERITED; INHERITED_COUNT at most (misuse.ts). */
  inheritedRecords: 'u32',
  /** Starts of child processes whose inherited handles could not all be recorded. */
  inheritedCut: 'u32',
  /** Sweeps that are under way; see {@link sweep}. */
  sweeping: 'u32',
  /** Misuses of kind MISUSE_SWEPT; SWEPT_COUNT at most (misuse.ts). */
  sweptRecords: 'u32',
  /** Handles that sweeps closed, and that found no room. */
  sweptDropped: 'u32',
  /** {@link SWEEP_COUNT} entries of {@link sweep}. */
  sweepTable: 'u64[48]',
  /** Openings of runtime objects of the {@link standaloneType}. */
  standaloneObjects: 'u32',
  /** Children that were started while there was no free {@link childRequest}. */
  childrenUnfollowed: 'u32',
  /** {@link CHILD_REQUEST_COUNT} entries of {@link childRequest}. */
  childRequests: 'u32[128]',
  /** Calls that opened or closed a handle of another process: elsewhere.ts. */
  callsElsewhere: 'u32',
  /** For each of the DLLs with functions to hook one of {@link moduleStates}. */
  moduleStates: 'u32[8]',
  /** Functions whose code the process must not change (STATUS_DYNAMIC_CODE_BLOCKED). */
  functionsBlocked: 'u32',
  /** Entries of a stop: stop.ts. */
  stopTable: 'u64[48]',
  /** The handles that the auditor has put into the target: lent-handles.ts. */
  lentHandles: 'u64[5]',
  /** For each watch how many open handles it waits for; 0: none. */
  watchLimits: 'u32[16]',
  /** For each watch how many more openings cannot reach its limit. */
  watchSpares: 'u32[16]',
  /** Entries of {@link stopTable} that are due. */
  stopsDue: 'u32',
  /** Misuses so far whose earlier lives were kept: {@link LedgerLayout.misuseLivesOffset}. */
  misuseLives: 'u32',
  /** As in {@link LedgerLayout}, for another reader than the auditor. */
  quarantineCount: 'u32',
  history: 'u32',
  /** Records of the misuse table so far, of all kinds. Each is counted before it is ready. */
  misuseRecords: 'u32',
  paddingBeforeWalkers: 'u32[47]',
  /** {@link WALKER_COUNT} ids of threads that are inside the documented unwinder, hashed by thread id. */
  walkers: 'u32[4096]',
} as const;

const headerStruct: Struct<typeof headerFields> = struct(headerFields);

/** The header, at the start of the ledger. */
export const header: Struct<typeof headerFields>['offsets'] = headerStruct.offsets;
export const HEADER_SIZE_BYTES: number = headerStruct.sizeBytes;

/** A DLL may be mapped more than once. Its functions count once: when it first lies at its place, or else elsewhere. */
export const moduleStates = { unseen: 0, elsewhere: 1, atItsPlace: 2 } as const;

export const LEDGER_MAGIC = 0x4445_534f_4c43_4e55n; // "UNCLOSED"
export const WALKER_COUNT = 4096;

/** States of the exit gate. */
export const GATE_WAITING = 1;
export const GATE_PASSED = 2;
/** The process found no auditor, and passed without waiting. */
export const GATE_UNATTENDED = 3;
/** The process waits before it ends its other threads. */
export const GATE_ENDING_THREADS = 4;

const pendingAcceptFields = {
  /** 0: free. */
  threadId: 'u64',
  /** The event that the thread is going to wait for. */
  event: 'u64',
  /** Address at which the handle will be stored. */
  handleAddress: 'u64',
  /** Address of the IO_STATUS_BLOCK. */
  statusAddress: 'u64',
} as const;

const pendingAcceptStruct: Struct<typeof pendingAcceptFields> = struct(pendingAcceptFields);

/** An accept of Wine's whose handle is delivered later; see wine-accept.ts. */
export const pendingAccept: Struct<typeof pendingAcceptFields>['offsets'] = pendingAcceptStruct.offsets;
export const PENDING_ACCEPT_SIZE_BYTES: number = pendingAcceptStruct.sizeBytes;
export const PENDING_ACCEPT_COUNT = 64;

const sweepFields = {
  /** 0: free. */
  threadId: 'u32',
  /** Number of the function's row, and above bit 16 an index of sweptObjects (function-table.ts). */
  rowAndObjects: 'u32',
  /** Address of the function's return address on the thread's stack, and the return address itself. */
  returnAddress: 'u64',
  caller: 'u64',
} as const;

const sweepStruct: Struct<typeof sweepFields> = struct(sweepFields);

/** A thread that is inside a function that closes what the program has left open: see hooks/sweeps.ts. */
export const sweep: Struct<typeof sweepFields>['offsets'] = sweepStruct.offsets;
export const SWEEP_SIZE_BYTES: number = sweepStruct.sizeBytes;
export const SWEEP_COUNT = 16;

const childRequestFields = {
  /** 0: free; then {@link CHILD_CLAIMED} and the others. */
  state: 'u32',
  processId: 'u32',
} as const;

const childRequestStruct: Struct<typeof childRequestFields> = struct(childRequestFields);

/** A child process that stands before its first instruction, and waits for the auditor: see hooks/follow-child.ts. */
export const childRequest: Struct<typeof childRequestFields>['offsets'] = childRequestStruct.offsets;
export const CHILD_REQUEST_SIZE_BYTES: number = childRequestStruct.sizeBytes;
export const CHILD_REQUEST_COUNT = 64;

/** A thread of the target is filling in the request. */
export const CHILD_CLAIMED = 1;
/** The thread waits for the auditor. */
export const CHILD_REQUESTED = 2;
/** The auditor is at work in the child. */
export const CHILD_TAKEN = 3;
/** The auditor has done what it could: the thread goes on. */
export const CHILD_ANSWERED = 4;

const slotFields = {
  /** Flags (see {@link STATE_QUARANTINED}) | generation << 1 | open. Zero: never seen. */
  state: 'u64',
  /** Stack id, and the low half of the generation that it belongs to. They are written together. */
  openedStack: 'u32',
  openedGeneration: 'u32',
  /** FILETIME. */
  openedTime: 'u64',
  openedThread: 'u32',
  /** Number of the call's row, {@link MAY_BE_INHERITABLE} and {@link GIVEN_TO_WRONG_CLOSER}. */
  openedCall: 'u16',
  /** Index into the object types; for a duplicate, the type of its source. */
  objectType: 'u16',
  /** Stack id, and the low half of the generation that it belongs to. They are written together. */
  closedStack: 'u32',
  closedGeneration: 'u32',
  closedTime: 'u64',
  closedThread: 'u32',
  /** Number of the call's row. */
  closedCall: 'u16',
  /** 1 when the process was exiting already; {@link SWEPT} is added when a sweep closed it. */
  closedWhileExiting: 'u16',
  /** For a quarantined value: the low half of how many handles had been opened when it was closed. */
  opensBefore: 'u32',
  /** Index of the runtime object that stands for the handle, plus 1; 0 for a handle of the program's own. */
  runtimeObject: 'u32',
} as const;

const slotStruct: Struct<typeof slotFields> = struct(slotFields);

/** A slot: the life of one handle value. It fills one cache line. */
export const slot: Struct<typeof slotFields>['offsets'] = slotStruct.offsets;
export const SLOT_SIZE_BYTES: number = slotStruct.sizeBytes;

/**
 * A bit beside the opening call: the handle was opened as an inheritable one, or made one later, or its opening does
 * not tell.
 */
export const MAY_BE_INHERITABLE = 0x8000;
/** Another one: the object was given to a function that closes another kind of object. */
export const GIVEN_TO_WRONG_CLOSER = 0x4000;

/** A sweep closed the handle: {@link slot.closedWhileExiting}. */
export const SWEPT = 2;

/** Flags of a slot's state. The first one is the sign. */
export const STATE_QUARANTINED: bigint = 1n << 63n;
/** A handle of the sentinel has the value. */
export const STATE_OCCUPIED: bigint = 1n << 62n;
/** With a quarantine: a thread is closing the handle, and has not yet recorded it. */
export const STATE_CLOSING: bigint = 1n << 61n;
export const STATE_FLAG_BITS = 3;

/** Handles were opened since the value was closed. */
export const VICTIM = 0x8000_0000;

/** The ring of recent opens, with a quarantine: u32 stack id and u32 {@link VICTIM} | object type each. */
export const RECENT_OPEN_COUNT = 4096;

const stackNodeFields = {
  /** Hash of {@link openedType} and the frames. */
  hash: 'u64',
  frameCount: 'u16',
  /**
   * Index into the object types of what was opened with this stack; 0 for a stack that closed or misused something. One
   * call may open handles of several types from the same place (NtCreateUserProcess does): each type has its own node,
   * and learns for itself where its handles are closed. The upper byte is of stops: stop.ts.
   */
  openedType: 'u16',
  /** Stack id of the most recent close of a handle that was opened with this stack; 0: none. */
  closedBy: 'u32',
  /** {@link frameCount} return addresses, innermost first. */
  frames: 'u64[0]',
} as const;

/** A stack in the pool. A stack's id is its offset / 8; 0 is no stack. */
export const stackNode: Struct<typeof stackNodeFields>['offsets'] = struct(stackNodeFields).offsets;

export const MAXIMUM_FRAMES: number = KEPT_FRAME_COUNT;
export const STACK_INDEX_COUNT: number = 1 << 18;
export const STACK_POOL_SIZE_BYTES: number = 48 << 20;
/** Entries of the walk cache: see walk-cache.ts. */
export const WALK_CACHE_COUNT: number = 1 << 14;

const MISUSES_OFFSET = HEADER_SIZE_BYTES;
export const IMAGES_OFFSET: number = MISUSES_OFFSET + MISUSE_COUNT * MISUSE_SIZE_BYTES;
const RUNTIME_OBJECTS_OFFSET = IMAGES_OFFSET + IMAGE_COUNT * IMAGE_SIZE_BYTES;
export const ELSEWHERE_OFFSET: number = RUNTIME_OBJECTS_OFFSET + RUNTIME_OBJECT_COUNT * RUNTIME_OBJECT_SIZE_BYTES;
const REQUESTS_OFFSET = ELSEWHERE_OFFSET + ELSEWHERE_COUNT * ELSEWHERE_SIZE_BYTES;
const WALK_CACHE_OFFSET = REQUESTS_OFFSET + REQUEST_COUNT * REQUEST_SIZE_BYTES;
export const STACK_INDEX_OFFSET: number = WALK_CACHE_OFFSET + WALK_CACHE_COUNT * 8;
export const STACK_POOL_OFFSET: number = STACK_INDEX_OFFSET + STACK_INDEX_COUNT * 4;
const QUARANTINE_OFFSET = STACK_POOL_OFFSET + STACK_POOL_SIZE_BYTES;

export interface LedgerLayout {
  readonly slotCount: number;
  readonly misusesOffset: number;
  readonly imagesOffset: number;
  readonly runtimeObjectsOffset: number;
  readonly requestsOffset: number;
  readonly walkCacheOffset: number;
  readonly stackPoolOffset: number;
  readonly quarantineOffset: number;
  /** Values that are quarantined, a power of two; 0 without a quarantine. */
  readonly quarantineCount: number;
  readonly recentOpensOffset: number;
  readonly slotsOffset: number;
  /** How many earlier lives of one value are kept, a power of two, and their size: see earlier-life.ts. */
  readonly history: number;
  readonly earlierLivesSizeBytes: number;
  readonly earlierLivesOffset: number;
  /** Copies of those that the values of misuses had, in order. */
  readonly misuseLivesOffset: number;
  readonly sizeBytes: number;
}

/**
 * Places the parts of a ledger that can record `slotCount` handle values. The parts before the quarantine have the same
 * offsets in every ledger.
 */
export function ledgerLayout(slotCount: number, quarantineCount = 0, history: number = DEFAULT_HISTORY): LedgerLayout {
  const recentOpensOffset = QUARANTINE_OFFSET + alignUp(quarantineCount * 4);
  const slotsOffset = recentOpensOffset + (quarantineCount === 0 ? 0 : RECENT_OPEN_COUNT * 8);
  const earlierLivesOffset = slotsOffset + slotCount * SLOT_SIZE_BYTES;
  const earlierLivesSizeBytes = history * EARLIER_LIFE_SIZE_BYTES;
  const misuseLivesOffset = earlierLivesOffset + Math.min(slotCount, EARLIER_LIVES_SLOT_COUNT) * earlierLivesSizeBytes;
  return {
    slotCount,
    misusesOffset: MISUSES_OFFSET,
    imagesOffset: IMAGES_OFFSET,
    runtimeObjectsOffset: RUNTIME_OBJECTS_OFFSET,
    requestsOffset: REQUESTS_OFFSET,
    walkCacheOffset: WALK_CACHE_OFFSET,
    stackPoolOffset: STACK_POOL_OFFSET,
    quarantineOffset: QUARANTINE_OFFSET,
    quarantineCount,
    recentOpensOffset,
    slotsOffset,
    history,
    earlierLivesSizeBytes,
    earlierLivesOffset,
    misuseLivesOffset,
    sizeBytes: misuseLivesOffset + MISUSE_COUNT * earlierLivesSizeBytes,
  };
}

/** Rounds up to a cache line. */
function alignUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 64) * 64;
}
