import {
  DESCRIPTOR_KEY,
  header,
  IMAGE_COUNT,
  IMAGE_SIZE_BYTES,
  image,
  LEDGER_MAGIC,
  type LedgerLayout,
  MAXIMUM_FRAMES,
  MAY_BE_INHERITABLE,
  MISUSE_CLOSE,
  MISUSE_CLOSED_AS_HANDLE,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SIZE_BYTES,
  MISUSE_USE,
  MISUSE_VALUE_COUNT,
  misuse,
  SLOT_SIZE_BYTES,
  slot,
  STACK_POOL_SIZE_BYTES,
  stackNode,
  STATE_FLAG_BITS,
  STATE_OCCUPIED,
  STATE_QUARANTINED,
  VICTIM,
  WRAPPER_COUNT,
  WRAPPER_SIZE_BYTES,
  wrapper,
} from './layout.ts';
import { recordedCalls } from '../tables/function-table.ts';
import { type ObjectType, objectTypes } from '../tables/hook-table.ts';
import { LedgerMemory, type ViewLedger } from './memory.ts';
import type { Wrapper } from '../../model.ts';
import { UserError } from '../../user-error.ts';

/** One recorded call; stacks are ids until they are asked for with {@link Ledger.stack}. */
export interface LedgerCall {
  /** Name of the system call; `undefined` for what was there before recording began. */
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
  readonly generation: bigint;
  readonly objectType: ObjectType;
  readonly opened: LedgerCall | undefined;
  readonly closed: LedgerCall | undefined;
}

/** One refused call, or one that is noted for another reason, as often as it happened. */
export interface LedgerMisuse {
  readonly kind: 'close' | 'use' | 'closed-as-handle' | 'inherited';
  readonly status: number;
  readonly count: number;
  readonly values: readonly bigint[];
  readonly offending: LedgerCall;
  readonly life: LedgerLife;
  /** What stood for the handle. */
  readonly wrapper?: Wrapper;
  /** Of a quarantined value: the first handle that was opened after its close; stack 0 when that was too long ago. */
  readonly victim?: { readonly objectType: ObjectType; readonly stackId: number };
}

/** An image that was mapped into the target at some time. */
export interface LedgerImage {
  readonly base: bigint;
  readonly sizeBytes: number;
  /** In the kernel's spelling: `\\Device\\HarddiskVolume3\\…`, `\\??\\C:\\…`. Comes from the target. */
  readonly path: string;
}

/** A ledger whose content cannot be what the agent wrote. */
export class LedgerDamagedError extends UserError {
  constructor(what: string) {
    super(
      `Cannot read the ledger: ${what}: the target has overwritten it. Try a debugger's data breakpoint on the first wrong byte.`,
    );
  }
}

/**
 * Reads a ledger while, or after, the target writes it.
 *
 * The target can write to this memory too, so nothing in it is believed: every index, count and length is checked
 * before it is used, and what cannot be right is a {@link LedgerDamagedError} or counts as "not recorded".
 */
export class Ledger {
  readonly #memory: LedgerMemory;
  readonly #layout: LedgerLayout;
  /** Handles that were open before recording began: their first generation is no call of the target's. */
  #openBefore = 0;
  /** Where the agent's own code lies in the target. */
  #agent = { begin: 0n, end: 0n };

  constructor(view: ViewLedger, layout: LedgerLayout) {
    this.#memory = new LedgerMemory(view, layout);
    this.#layout = layout;
  }

  /** Writes the header of an empty ledger. */
  initialise(): void {
    this.#memory.setBigUint64(header.magic, LEDGER_MAGIC);
    this.#memory.setBigUint64(header.slotCount, BigInt(this.#layout.slotCount));
    this.#memory.setBigUint64(header.stackPoolUsed, 8n); // id 0 means "no stack"
  }

  /** Leaves the agent's own frames out of stacks: a call that a hooked function makes goes through them. */
  hideAgent(begin: bigint, sizeBytes: number): void {
    this.#agent = { begin, end: begin + BigInt(sizeBytes) };
  }

  /** Notes a handle that was open before recording began, so that its close is not a surprise. */
  markOpenBefore(value: bigint, objectType: ObjectType): void {
    const place = this.#slotOffset(value);
    if (place === undefined) return;
    this.#openBefore++;
    this.#memory.setUint32(place + slot.openedGeneration, 1);
    this.#memory.setUint16(place + slot.objectType, objectTypes.indexOf(objectType));
    this.#memory.setBigUint64(place + slot.state, 3n); // generation 1, open
    const used = this.#memory.getBigUint64(header.slotsUsed);
    const index = (BigInt.asUintN(64, value) >> 2n) + 1n;
    if (index > used) this.#memory.setBigUint64(header.slotsUsed, index);
  }

  /** Notes the handle by which the agent occupies quarantined values; it is never given up itself. */
  setSentinel(value: bigint): void {
    const place = this.#slotOffset(value);
    if (place === undefined) throw new Error(`no slot for the sentinel 0x${value.toString(16)}`);
    this.#memory.setBigUint64(header.sentinel, value);
    this.#memory.setBigUint64(place + slot.state, STATE_QUARANTINED | STATE_OCCUPIED);
  }

  /** Whether a value means nothing to the target, whatever the kernel's table says of it. */
  isQuarantined(value: bigint): boolean {
    const place = this.#slotOffset(value);
    return place !== undefined && this.#memory.getBigInt64(place + slot.state) < 0n;
  }

  /** @throws LedgerDamagedError when the header is not the one that was written */
  check(): void {
    if (this.#memory.getBigUint64(header.magic) !== LEDGER_MAGIC)
      throw new LedgerDamagedError('its first word is wrong');
    if (this.#memory.getBigUint64(header.slotCount) !== BigInt(this.#layout.slotCount)) {
      throw new LedgerDamagedError('its number of slots is wrong');
    }
    this.#slotsUsed();
  }

  /** A counter of the header. */
  counter(name: CounterName): number {
    return this.#memory.getUint32(header[name]);
  }

  /** Values of the handles that the exit gate itself holds. */
  gateHandles(): readonly bigint[] {
    return [0, 8]
      .map((offset) => this.#memory.getBigInt64(header.gateHandles + offset))
      .filter((value) => value !== 0n);
  }

  /** What is recorded of a handle value; undefined when it was never seen or has no slot. */
  life(value: bigint): LedgerLife | undefined {
    const place = this.#slotOffset(value);
    return place === undefined ? undefined : this.#readLife(place);
  }

  /** What stands for an open handle; undefined for one that is the program's own. */
  wrapperOf(value: bigint): Wrapper | undefined {
    const place = this.#slotOffset(value);
    const found = place === undefined ? undefined : this.#wrapperOffset(this.#memory.getUint32(place + slot.wrapper));
    if (found === undefined || BigInt.asIntN(64, value) !== this.#memory.getBigInt64(found + wrapper.handle))
      return undefined;
    if (this.#readLife(found)?.isOpen !== true) return undefined;
    const descriptor = this.#wrapperOffset(this.#memory.getUint32(found + wrapper.descriptor));
    const descriptorKey = descriptor === undefined ? 0n : this.#memory.getBigUint64(descriptor + wrapper.key);
    return {
      ...nameWrapper(this.#memory.getBigUint64(found + wrapper.key)),
      ...((descriptorKey & DESCRIPTOR_KEY) === 0n ? {} : { descriptor: Number(BigInt.asIntN(32, descriptorKey)) }),
    };
  }

  /** Values that the ledger holds for open, ascending. */
  *openValues(): Generator<bigint> {
    const used = this.#slotsUsed();
    for (let index = 0; index < used; index++) {
      const state = this.#memory.getUint8(this.#layout.slotsOffset + index * SLOT_SIZE_BYTES);
      if (state & 1) yield BigInt(index) << 2n;
    }
  }

  /** Values whose last close was made while the process exited, ascending. */
  *valuesClosedWhileExiting(): Generator<bigint> {
    if (this.counter('exiting') === 0) return;
    const used = this.#slotsUsed();
    for (let index = 0; index < used; index++) {
      const place = this.#layout.slotsOffset + index * SLOT_SIZE_BYTES;
      const isClosed = (this.#memory.getUint8(place) & 1) === 0;
      if (isClosed && this.#memory.getUint16(place + slot.closedWhileExiting) === 1) yield BigInt(index) << 2n;
    }
  }

  /** FILETIME at which the process began to exit; undefined when it did not, in an orderly way. */
  exitingTime(): bigint | undefined {
    return this.counter('exiting') === 0 ? undefined : this.#memory.getBigUint64(header.exitingTime);
  }

  /** How many opens and closes succeeded, over all values. */
  totals(): { opens: number; closes: number } {
    let opens = 0;
    let open = 0;
    const used = this.#slotsUsed();
    for (let index = 0; index < used; index++) {
      const place = this.#layout.slotsOffset + index * SLOT_SIZE_BYTES + slot.state;
      const low = this.#memory.getUint32(place);
      const high = this.#memory.getUint32(place + 4) & (0xffff_ffff >>> STATE_FLAG_BITS);
      opens += (low >>> 1) + high * 0x8000_0000; // the generation
      open += low & 1;
    }
    // Damaged slots do not make counts negative.
    return { opens: Math.max(0, opens - this.#openBefore), closes: Math.max(0, opens - open) };
  }

  /** Return addresses of a stack, innermost first; empty for id 0 and for an id that names no stack. */
  stack(id: number): readonly bigint[] {
    const place = this.#stackOffset(id);
    if (place === undefined) return [];
    const count = Math.min(this.#memory.getUint32(place + stackNode.frameCount), MAXIMUM_FRAMES);
    const frames = Array.from({ length: count }, (_, index) =>
      this.#memory.getBigUint64(place + stackNode.frames + index * 8),
    );
    return frames.filter((address) => address < this.#agent.begin || address >= this.#agent.end);
  }

  /** Id of the stack that last closed a handle which was opened with stack `id`; 0 when none did. */
  closedBy(id: number): number {
    const place = this.#stackOffset(id);
    return place === undefined ? 0 : this.#memory.getUint32(place + stackNode.closedBy);
  }

  /** Stacks of which a handle was closed while the program ran, with the stack that closed one last. */
  *closedStacks(): Generator<{ readonly id: number; readonly closedBy: number }> {
    const used = this.#memory.getBigUint64(header.stackPoolUsed);
    const end = used > BigInt(STACK_POOL_SIZE_BYTES) ? STACK_POOL_SIZE_BYTES : Number(used);
    for (let offset = 8; offset + stackNode.frames <= end; ) {
      const place = this.#layout.stackPoolOffset + offset;
      const count = this.#memory.getUint32(place + stackNode.frameCount);
      // not written yet, or overwritten: where the next one begins is not known
      if (count === 0 || count > MAXIMUM_FRAMES) return;
      const closedBy = this.#memory.getUint32(place + stackNode.closedBy);
      if (closedBy !== 0) yield { id: offset / 8, closedBy };
      offset += stackNode.frames + count * 8;
    }
  }

  /** Every misuse whose record is complete, in the order of the table. */
  *misuses(): Generator<LedgerMisuse> {
    for (let index = 0; index < MISUSE_COUNT; index++) {
      const place = this.#layout.misusesOffset + index * MISUSE_SIZE_BYTES;
      if (this.#memory.getUint32(place + misuse.ready) !== 1) continue;
      const kind = this.#memory.getUint16(place + misuse.kind);
      const valueCount = Math.min(this.#memory.getUint32(place + misuse.valueCount), MISUSE_VALUE_COUNT);
      const values = Array.from({ length: valueCount }, (_, at) =>
        this.#memory.getBigInt64(place + misuse.values + at * 8),
      );
      // A call that has not come back may have been the end of the process.
      const count = this.#memory.getUint32(place + misuse.count) + this.#memory.getUint32(place + misuse.pending);
      if (count === 0) continue;
      const wrapperKey = this.#memory.getBigUint64(place + misuse.wrapperKey);
      yield {
        kind: misuseKinds.get(kind) ?? 'use',
        status: this.#memory.getUint32(place + misuse.status),
        count,
        values: [...new Set(values)],
        offending: {
          call: callName(this.#memory.getUint16(place + misuse.offendingCall)),
          threadId: this.#memory.getUint32(place + misuse.offendingThread),
          time: this.#memory.getBigUint64(place + misuse.offendingTime),
          stackId: this.#memory.getUint32(place + misuse.offendingStack),
        },
        life: this.#readLife(place + misuse.life) ?? NEVER_SEEN,
        ...(wrapperKey === 0n ? {} : { wrapper: nameWrapper(wrapperKey) }),
        ...this.#readVictim(place),
      };
    }
  }

  /** The images that were mapped, in order; one that was unloaded is among them still. */
  *images(): Generator<LedgerImage> {
    const count = Math.min(this.#memory.getUint32(header.imageCount), IMAGE_COUNT);
    for (let index = 0; index < count; index++) {
      const place = this.#layout.imagesOffset + index * IMAGE_SIZE_BYTES;
      const base = this.#memory.getBigUint64(place + image.base);
      const sizeBytes = this.#memory.getUint32(place + image.sizeBytes);
      const lengthBytes = Math.min(this.#memory.getUint16(place + image.path), IMAGE_SIZE_BYTES - image.pathText) & ~1;
      if (base === 0n || sizeBytes === 0) continue;
      const text = new Uint16Array(lengthBytes / 2);
      for (let at = 0; at < text.length; at++) text[at] = this.#memory.getUint16(place + image.pathText + at * 2);
      yield { base, sizeBytes, path: String.fromCharCode(...text) };
    }
  }

  #readVictim(place: number): Pick<LedgerMisuse, 'victim'> {
    const victim = this.#memory.getUint32(place + misuse.victim);
    if ((victim & VICTIM) === 0) return {};
    const objectType = objectTypes[victim & 0xffff] ?? 'Unknown';
    return { victim: { objectType, stackId: this.#memory.getUint32(place + misuse.victimStack) } };
  }

  /** Checked each time: a target that still runs may overwrite it at any moment. */
  #slotsUsed(): number {
    const used = this.#memory.getBigUint64(header.slotsUsed);
    if (used > BigInt(this.#layout.slotCount)) throw new LedgerDamagedError('its number of used slots is wrong');
    return Number(used);
  }

  #slotOffset(value: bigint): number | undefined {
    const index = value >> 2n;
    return index >= 0n && index < BigInt(this.#layout.slotCount)
      ? this.#layout.slotsOffset + Number(index) * SLOT_SIZE_BYTES
      : undefined;
  }

  /** Of an index plus 1. */
  #wrapperOffset(index: number): number | undefined {
    return index === 0 || index > WRAPPER_COUNT
      ? undefined
      : this.#layout.wrappersOffset + (index - 1) * WRAPPER_SIZE_BYTES;
  }

  #stackOffset(id: number): number | undefined {
    if (id <= 0 || id * 8 > STACK_POOL_SIZE_BYTES - stackNode.frames - MAXIMUM_FRAMES * 8) return undefined;
    return this.#layout.stackPoolOffset + id * 8;
  }

  #readLife(place: number): LedgerLife | undefined {
    const state = BigInt.asUintN(64 - STATE_FLAG_BITS, this.#memory.getBigUint64(place + slot.state));
    if (state === 0n) return undefined;
    const generation = state >> 1n;
    const isOpen = (state & 1n) === 1n;
    const low = Number(BigInt.asUintN(32, generation));
    const openedIsCurrent = this.#memory.getUint32(place + slot.openedGeneration) === low;
    const closedIsCurrent = !isOpen && this.#memory.getUint32(place + slot.closedGeneration) === low;
    const opened: LedgerCall = {
      call: callName(this.#memory.getUint16(place + slot.openedCall) & ~MAY_BE_INHERITABLE),
      threadId: this.#memory.getUint32(place + slot.openedThread),
      time: this.#memory.getBigUint64(place + slot.openedTime),
      stackId: this.#memory.getUint32(place + slot.openedStack),
    };
    const closed: LedgerCall = {
      call: callName(this.#memory.getUint16(place + slot.closedCall)),
      threadId: this.#memory.getUint32(place + slot.closedThread),
      time: this.#memory.getBigUint64(place + slot.closedTime),
      stackId: this.#memory.getUint32(place + slot.closedStack),
    };
    return {
      isOpen,
      generation,
      objectType: (openedIsCurrent && objectTypes[this.#memory.getUint16(place + slot.objectType)]) || 'Unknown',
      opened: openedIsCurrent ? opened : undefined,
      closed: closedIsCurrent ? closed : undefined,
    };
  }
}

/** Of those that have a handle whose value is known; a search has not. */
function nameWrapper(key: bigint): Wrapper {
  return (key & DESCRIPTOR_KEY) === 0n
    ? { type: 'FILE', value: key }
    : { type: 'Descriptor', value: BigInt.asIntN(32, key) };
}

type CounterName =
  | 'beyondCapacity'
  | 'droppedStacks'
  | 'droppedMisuses'
  | 'unresolvedDuplicates'
  | 'slowWalks'
  | 'walkMismatches'
  | 'nestedWalks'
  | 'gateState'
  | 'gateStatus'
  | 'exiting'
  | 'functionsHooked'
  | 'functionsMissed'
  | 'quarantineLost'
  | 'droppedWrappers'
  | 'inheritedCut';

const NEVER_SEEN: LedgerLife = {
  isOpen: false,
  generation: 0n,
  objectType: 'Unknown',
  opened: undefined,
  closed: undefined,
};

const misuseKinds: ReadonlyMap<number, LedgerMisuse['kind']> = new Map([
  [MISUSE_CLOSE, 'close'],
  [MISUSE_USE, 'use'],
  [MISUSE_CLOSED_AS_HANDLE, 'closed-as-handle'],
  [MISUSE_INHERITED, 'inherited'],
]);

function callName(rowNumber: number): string | undefined {
  return recordedCalls[rowNumber - 1]?.name;
}
