/**
 * The layout of the ledger: the memory that the agent in the target writes and the auditor reads. One section,
 * mapped into both. Every offset is in bytes; every record is naturally aligned, and what must be read or written
 * whole is one aligned 64-bit word.
 *
 * ```
 * header | misuse table | images | wrappers | walk cache | stack index | stack pool | quarantine | recent opens | slots
 * ```
 */

/** Fields of the header, offsets from the start of the ledger. */
export const header = {
  /** u64: "UNCLOSED" in ASCII, so that a wrong mapping is noticed. */
  magic: 0x00,
  /** u64: slots, that is handle values that can be recorded. */
  slotCount: 0x08,
  /** u64: bytes of the stack pool in use, from its start; may run past its size when it overflowed. */
  stackPoolUsed: 0x10,
  /** u32: events about handle values that have no slot. */
  beyondCapacity: 0x18,
  /** u32: stacks that found no room. */
  droppedStacks: 0x1c,
  /** u32: misuses that found no room. */
  droppedMisuses: 0x20,
  /** u32: duplications between processes of which it could not be told whether they were this one. */
  unresolvedDuplicates: 0x24,
  /** u32: 1 once the agent's frames are registered with the target's unwinder. */
  unwindRegistered: 0x28,
  /** u32: walks that needed the documented unwinder. */
  slowWalks: 0x2c,
  /** u32: remembered frame sizes that the documented unwinder contradicted (counted in checked mode only). */
  walkMismatches: 0x30,
  /** u32: walks given up because the walker itself was entered again. */
  nestedWalks: 0x34,
  /** u32: accepts that are still pending (Wine: the handle is delivered later). */
  pendingAccepts: 0x38,
  /** u32: 0 running, 1 waiting at the exit gate, 2 passed it, 3 found the auditor gone. */
  gateState: 0x40,
  /** u32: NTSTATUS of the gate's first refused call. */
  gateStatus: 0x44,
  /** 2 x u64: handles that the gate itself holds. */
  gateHandles: 0x48,
  /** u32: thread that waits at the gate. */
  gateThread: 0x58,
  /** u64: the exit code that the process gave itself. */
  gateExitCode: 0x60,
  /** u64: one more than the highest slot that was ever used. */
  slotsUsed: 0x68,
  /** u32: images mapped so far; may exceed the room for them. */
  imageCount: 0x70,
  /** u32: functions of system DLLs that were hooked when their DLL was mapped. */
  functionsHooked: 0x74,
  /** u32: functions that were not as expected, or in a DLL that lies elsewhere than in the auditor. */
  functionsMissed: 0x78,
  /** u32: 1 once the process has begun to exit (its other threads have been ended). */
  exiting: 0x7c,
  /** u64: FILETIME at which it began. */
  exitingTime: 0x900,
  /** u64: value of the handle by which quarantined values are occupied; 0 without a quarantine. */
  sentinel: 0x908,
  /** u32: values that ever entered the quarantine; the next place in its ring. */
  quarantineNext: 0x910,
  /** u32: values that left the quarantine too early, because somebody had to be given them. */
  quarantineLost: 0x914,
  /** u64: with a quarantine: handles opened so far; the next place in the ring of recent opens. */
  opens: 0x918,
  /** u32: descriptors, streams and searches that found no room among the wrappers. */
  droppedWrappers: 0x920,
  /** u32: changes of whether a handle is inheritable that were asked for, each counted before it takes effect. */
  inheritanceChanges: 0x940,
  /** u32: misuses of kind {@link MISUSE_INHERITED}; see {@link INHERITED_COUNT}. */
  inheritedRecords: 0x944,
  /** u32: starts of child processes after which not all that they may have inherited was recorded. */
  inheritedCut: 0x948,
  /** 64 x 32 bytes: {u64 thread id, u64 event, u64 address of the handle, u64 address of the IO_STATUS_BLOCK}. */
  pendingAcceptTable: 0x80,
  /** 4096 x u32: threads that are inside the documented unwinder, hashed by thread id. */
  walkers: 0x1000,
} as const;

export const LEDGER_MAGIC = 0x4445_534f_4c43_4e55n; // "UNCLOSED"
export const HEADER_SIZE_BYTES = 0x5000;
export const PENDING_ACCEPT_COUNT = 64;
export const PENDING_ACCEPT_SIZE_BYTES = 32;
export const WALKER_COUNT = 4096;

/** A slot: the life of one handle value. 64 bytes, one cache line. */
export const slot = {
  /** u64: flags (see {@link STATE_QUARANTINED}) | generation << 1 | open. Zero: never seen. */
  state: 0x00,
  /** u32 stack id and u32 low half of the generation that it belongs to, written together. */
  openedStack: 0x08,
  openedGeneration: 0x0c,
  /** u64: FILETIME. */
  openedTime: 0x10,
  openedThread: 0x18,
  /** u16: row of the hook table, and {@link MAY_BE_INHERITABLE}. */
  openedCall: 0x1c,
  /** u16: index into the object types; of a duplicate, the type of its source. */
  objectType: 0x1e,
  /** u32 stack id and u32 low half of the generation, written together. */
  closedStack: 0x20,
  closedGeneration: 0x24,
  closedTime: 0x28,
  closedThread: 0x30,
  /** u16: row of the hook table. */
  closedCall: 0x34,
  /** u16: 1 when the process was exiting already. */
  closedWhileExiting: 0x36,
  /** u32: of a quarantined value: the low half of how many handles had been opened when it was closed. */
  opensBefore: 0x38,
  /** u32: index of the wrapper that stands for the handle, plus 1; 0 for a handle that is the program's own. */
  wrapper: 0x3c,
} as const;

/**
 * With the opening call: the handle was opened as an inheritable one, or made one later, or its opening does not tell.
 */
export const MAY_BE_INHERITABLE = 0x8000;

/** Flags of a slot's state, and the bits that they leave. The first one is the sign. */
export const STATE_QUARANTINED: bigint = 1n << 63n;
/** A handle of the sentinel has the value. */
export const STATE_OCCUPIED: bigint = 1n << 62n;
/** With a quarantine: a thread is closing the handle, and has not yet recorded it. */
export const STATE_CLOSING: bigint = 1n << 61n;
export const STATE_FLAG_BITS = 3;

export const SLOT_SIZE_BYTES = 64;

/**
 * A wrapper: what a library hands out in place of a handle. A descriptor or a FILE of a C runtime, or what
 * FindFirstFile returns. Its life is a {@link slot} at its beginning; 128 bytes.
 */
export const wrapper = {
  /** u64: what the program knows it by: {@link DESCRIPTOR_KEY}, or an address. Zero: free. */
  key: 0x40,
  /** u64: value of the handle that it stands for; 0 where that is not known. */
  handle: 0x48,
  /** u32: of a FILE: index of its descriptor's wrapper, plus 1. */
  descriptor: 0x50,
  /** u32: of a FILE: the descriptor's number. */
  descriptorNumber: 0x54,
} as const;

/**
 * The key of a C runtime's descriptor: this bit, the number of the runtime above bit 32, and the descriptor's number.
 */
export const DESCRIPTOR_KEY: bigint = 1n << 62n;

export const WRAPPER_SIZE_BYTES = 128;
/** Wrappers, a power of two, and how many places a key may lie behind the one that its hash says. */
const WRAPPER_HASH_COUNT = 8192;
export const WRAPPER_HASH_BITS: number = Math.log2(WRAPPER_HASH_COUNT);
export const WRAPPER_PROBE_COUNT = 64;
/** All of them: a search for the last one never has to begin again at the first. */
export const WRAPPER_COUNT: number = WRAPPER_HASH_COUNT + WRAPPER_PROBE_COUNT;

/** A misuse: one call that was refused, with the life that its value had before. 256 bytes. */
export const misuse = {
  /** u64: hash of everything that tells one misuse from another; zero: free. */
  key: 0x00,
  /** u32: how often. */
  count: 0x08,
  /** u32: NTSTATUS. */
  status: 0x0c,
  /** u32: stack id of the refused call. */
  offendingStack: 0x10,
  offendingThread: 0x14,
  offendingTime: 0x18,
  /** u16: row of the hook table. */
  offendingCall: 0x20,
  /** u16: {@link MISUSE_CLOSE} and the others. */
  kind: 0x22,
  /** u32: number of values appended to {@link values}; may exceed their room. */
  valueCount: 0x24,
  /** The slot, or the life of the wrapper, as it was: {@link SLOT_SIZE_BYTES}. */
  life: 0x28,
  /**
   * Of a quarantined value: the first handle that was opened after its close, and that would have it now. u32 stack id
   * (0: too long ago), and u32 {@link VICTIM} | object type.
   */
  victimStack: 0x68,
  victim: 0x6c,
  /** u32: threads that are inside of such a call and have not come back from it. */
  pending: 0x70,
  /** u32: 1 once the record is complete. */
  ready: 0x74,
  /** u64: {@link wrapper.key} of what stood for the handle; 0 when nothing did. */
  wrapperKey: 0x78,
  /** {@link MISUSE_VALUE_COUNT} x u64: the first values. */
  values: 0x80,
} as const;

/** Kinds of misuse. */
export const MISUSE_CLOSE = 1;
export const MISUSE_USE = 2;
/**
 * Not refused: a socket, a registry key or a wrapper's handle that CloseHandle closes. Whether it should have is told
 * by the stack.
 */
export const MISUSE_CLOSED_AS_HANDLE = 3;
/**
 * Not refused: a child process was started and inherited the handle. The status is 0, or {@link INHERITED_BY_NAME} (see
 * inherited-handles.ts).
 */
export const MISUSE_INHERITED = 4;
/** The handle was told to the child as one of a C runtime's file descriptors. */
export const INHERITED_BY_NAME = 1;
/** How many of the misuses may be of that kind: they are for the curious, and must leave room for mistakes. */
export const INHERITED_COUNT = 512;

export const MISUSE_SIZE_BYTES = 256;
export const MISUSE_COUNT = 4096;
export const MISUSE_VALUE_COUNT = 8;
/** Handles were opened since the value was closed. */
export const VICTIM = 0x8000_0000;

/** The ring of recent opens, with a quarantine: u32 stack id and u32 {@link VICTIM} | object type each. */
export const RECENT_OPEN_COUNT = 4096;

/**
 * An image (program or DLL) that was mapped, so that addresses keep their meaning after it, or the process, is gone.
 */
export const image = {
  /** u64: address of its first byte; written last. */
  base: 0x00,
  /** u32: IMAGE_OPTIONAL_HEADER64.SizeOfImage. */
  sizeBytes: 0x08,
  /**
   * UNICODE_STRING, of which only the length counts here, and its text behind it: the file's path in the kernel's
   * spelling.
   */
  path: 0x10,
  pathText: 0x20,
} as const;

export const IMAGE_SIZE_BYTES = 1024;
export const IMAGE_COUNT = 1024;

/** A stack in the pool: a variable number of frames after 16 bytes. A stack's id is its offset / 8; 0 is no stack. */
export const stackNode = {
  /** u64: hash of the frames. */
  hash: 0x00,
  frameCount: 0x08,
  /** u32: stack id of the most recent close of a handle that was opened with this stack; 0: none. */
  closedBy: 0x0c,
  /** frameCount x u64: return addresses, innermost first. */
  frames: 0x10,
} as const;

export const MAXIMUM_FRAMES = 32;
export const STACK_INDEX_COUNT: number = 1 << 18;
export const STACK_POOL_SIZE_BYTES: number = 48 << 20;
/** An entry of the walk cache: see stack-walk.ts. */
export const WALK_CACHE_COUNT: number = 1 << 14;

const MISUSES_OFFSET = HEADER_SIZE_BYTES;
export const IMAGES_OFFSET: number = MISUSES_OFFSET + MISUSE_COUNT * MISUSE_SIZE_BYTES;
const WRAPPERS_OFFSET = IMAGES_OFFSET + IMAGE_COUNT * IMAGE_SIZE_BYTES;
const WALK_CACHE_OFFSET = WRAPPERS_OFFSET + WRAPPER_COUNT * WRAPPER_SIZE_BYTES;
export const STACK_INDEX_OFFSET: number = WALK_CACHE_OFFSET + WALK_CACHE_COUNT * 8;
export const STACK_POOL_OFFSET: number = STACK_INDEX_OFFSET + STACK_INDEX_COUNT * 4;
const QUARANTINE_OFFSET = STACK_POOL_OFFSET + STACK_POOL_SIZE_BYTES;

export interface LedgerLayout {
  readonly slotCount: number;
  readonly misusesOffset: number;
  readonly imagesOffset: number;
  readonly wrappersOffset: number;
  readonly walkCacheOffset: number;
  readonly stackPoolOffset: number;
  readonly quarantineOffset: number;
  /** Values that are quarantined, a power of two; 0 without a quarantine. */
  readonly quarantineCount: number;
  readonly recentOpensOffset: number;
  readonly slotsOffset: number;
  readonly sizeBytes: number;
}

/**
 * Places the parts of a ledger that can record `slotCount` handle values; what is before the quarantine lies at the
 * same place in all.
 */
export function ledgerLayout(slotCount: number, quarantineCount = 0): LedgerLayout {
  const recentOpensOffset = QUARANTINE_OFFSET + alignUp(quarantineCount * 4);
  const slotsOffset = recentOpensOffset + (quarantineCount === 0 ? 0 : RECENT_OPEN_COUNT * 8);
  return {
    slotCount,
    misusesOffset: MISUSES_OFFSET,
    imagesOffset: IMAGES_OFFSET,
    wrappersOffset: WRAPPERS_OFFSET,
    walkCacheOffset: WALK_CACHE_OFFSET,
    stackPoolOffset: STACK_POOL_OFFSET,
    quarantineOffset: QUARANTINE_OFFSET,
    quarantineCount,
    recentOpensOffset,
    slotsOffset,
    sizeBytes: slotsOffset + slotCount * SLOT_SIZE_BYTES,
  };
}

/** To a cache line. */
function alignUp(sizeBytes: number): number {
  return Math.ceil(sizeBytes / 64) * 64;
}
