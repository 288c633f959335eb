import type {
  CallLedger,
  LedgerCall,
  LedgerCallElsewhere,
  LedgerExit,
  LedgerImage,
  LedgerInheritance,
  LedgerLife,
  LedgerMisuse,
  LedgerSweep,
} from '../../call-ledger.ts';
import { countedGap, type Gap } from '../../completeness.ts';
import type { Wrapper } from '../../model.ts';
import { standaloneType } from '../tables/function-table.ts';
import { type ObjectType, objectTypes } from '../tables/object-types.ts';
import {
  ELSEWHERE_OFFSET,
  header,
  LEDGER_MAGIC,
  type LedgerLayout,
  MAXIMUM_FRAMES,
  slot,
  SLOT_SIZE_BYTES,
  STACK_POOL_SIZE_BYTES,
  stackNode,
  STATE_OCCUPIED,
  STATE_QUARANTINED,
  moduleStates,
} from './layout.ts';
import { DESCRIPTOR_KEY, RUNTIME_OBJECT_COUNT, RUNTIME_OBJECT_SIZE_BYTES, runtimeObject } from './runtime-object.ts';
import { readCallTimes } from './call-times.ts';
import { ChildRequests } from './child-requests.ts';
import { MISUSE_COUNT, MISUSE_SIZE_BYTES } from './misuse.ts';
import { type CounterName, countedGaps } from './counters.ts';
import { EARLIER_LIVES_SLOT_COUNT } from './earlier-life.ts';
import { LedgerDamagedError } from './ledger-damaged-error.ts';
import { gateHandles, LentHandles } from './lent-handles.ts';
import { StopRequests } from './stop-requests.ts';
import { LedgerMemory, type ViewLedger, viewCopies } from './memory.ts';
import {
  nameRuntimeObject,
  readEarlierLives,
  readElsewhere,
  readExit,
  readImages,
  readInheritance,
  readLife,
  readMisuse,
  readSweep,
} from './records.ts';
import { countLives, countOpenByType } from './slot-sums.ts';

/**
 * Reads a ledger while, or after, the target writes it.
 *
 * The target can write to this memory too, so the reader believes nothing in it. It checks every index, count and
 * length before it uses one. A value that cannot be right is a {@link LedgerDamagedError}, or counts as "not recorded".
 */
export class Ledger implements CallLedger {
  readonly childRequests: ChildRequests;
  readonly stops: StopRequests;
  readonly lent: LentHandles;
  readonly #memory: LedgerMemory;
  readonly #layout: LedgerLayout;
  /** Handles that were open before recording began: their first generation is no call of the target's. */
  #openBefore = 0;
  /** Where the agent's own code lies in the target. */
  #agent = { begin: 0n, end: 0n };

  constructor(view: ViewLedger, layout: LedgerLayout) {
    this.#memory = new LedgerMemory(view, layout);
    this.childRequests = new ChildRequests(this.#memory);
    this.stops = new StopRequests(this.#memory, layout);
    this.lent = new LentHandles(this.#memory);
    this.#layout = layout;
  }

  /** Writes the header of an empty ledger. */
  initialise(): void {
    this.#memory.setBigUint64(header.magic, LEDGER_MAGIC);
    this.#memory.setBigUint64(header.slotCount, BigInt(this.#layout.slotCount));
    this.#memory.setBigUint64(header.stackPoolUsed, 8n); // id 0 means "no stack"
    this.#memory.setUint32(header.quarantineCount, this.#layout.quarantineCount);
    this.#memory.setUint32(header.history, this.#layout.history);
  }

  /**
   * A copy of all that is recorded by now but {@link earlierLives}, which the target no longer changes. It is of one
   * moment only if the target stands still meanwhile.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  copy(): Ledger {
    this.check();
    const { stackPoolOffset, slotsOffset, misuseLivesOffset, earlierLivesSizeBytes } = this.#layout;
    const misuseLives = Math.min(this.#memory.getUint32(header.misuseLives), MISUSE_COUNT);
    const copies = [
      this.#memory.copy(0, stackPoolOffset + this.#stackPoolUsed()),
      this.#memory.copy(slotsOffset, this.#slotsUsed() * SLOT_SIZE_BYTES),
      this.#memory.copy(misuseLivesOffset, misuseLives * earlierLivesSizeBytes),
    ];
    const copy = new Ledger((offset, sizeBytes) => viewCopies(copies, offset, sizeBytes), this.#layout);
    copy.#openBefore = this.#openBefore;
    copy.#agent = this.#agent;
    return copy;
  }

  /** Leaves the agent's own frames out of stacks: the calls of a hooked function go through them. */
  hideAgent(begin: bigint, sizeBytes: number): void {
    this.#agent = { begin, end: begin + BigInt(sizeBytes) };
  }

  /** Notes a handle that was open before recording began, so that its close is not a surprise. */
  markOpenBefore(value: bigint, objectType: ObjectType): void {
    const offset = this.#slotOffset(value);
    if (offset === undefined) return;
    this.#openBefore++;
    this.#memory.setUint32(offset + slot.openedGeneration, 1);
    this.#memory.setUint16(offset + slot.objectType, objectTypes.indexOf(objectType));
    this.#memory.setBigUint64(offset + slot.state, 3n); // generation 1, open
    const index = (BigInt.asUintN(64, value) >> 2n) + 1n;
    if (index > this.#memory.getBigUint64(header.slotsUsed)) this.#memory.setBigUint64(header.slotsUsed, index);
  }

  /** Sets what the agent adds to the system's time: {@link header.clockOffset}. */
  setClockOffset(offset: bigint): void {
    this.#memory.setBigUint64(header.clockOffset, offset);
  }

  /** Says that the target's unwinder knows the agent's frames, or that the target has been judged at the gate. */
  note(fact: 'unwindRegistered' | 'judged'): void {
    this.#memory.setUint32(header[fact], 1);
  }

  /** Notes that a DLL lay at its place before the agent came: a number of the functionModules. */
  noteModule(number: number): void {
    this.#memory.setUint32(header.moduleStates + number * 4, moduleStates.atItsPlace);
  }

  /** Notes the handle with which the agent occupies quarantined values. Its own value never leaves the quarantine. */
  setSentinel(value: bigint): void {
    const offset = this.#slotOffset(value);
    if (offset === undefined) throw new Error(`no slot for the sentinel 0x${value.toString(16)}`);
    this.#memory.setBigUint64(header.sentinel, value);
    this.#memory.setBigUint64(offset + slot.state, STATE_QUARANTINED | STATE_OCCUPIED);
  }

  recordersOwn(): (value: bigint) => boolean {
    const own = new Set([...this.lent.values(), ...gateHandles(this.#memory)]);
    if (this.#layout.quarantineCount === 0) return (value) => own.has(value);
    return (value) => own.has(value) || this.isQuarantined(value);
  }

  /** Whether the hooks refuse a value, whatever the kernel's table has for it. */
  isQuarantined(value: bigint): boolean {
    const offset = this.#slotOffset(value);
    return offset !== undefined && this.#memory.getBigInt64(offset + slot.state) < 0n;
  }

  /** @throws LedgerDamagedError when the header is not the one that was written */
  check(): void {
    if (this.#memory.getBigUint64(header.magic) !== LEDGER_MAGIC)
      throw new LedgerDamagedError('its first word is wrong');
    if (this.#memory.getBigUint64(header.slotCount) !== BigInt(this.#layout.slotCount))
      throw new LedgerDamagedError('its number of slots is wrong');
    this.#slotsUsed();
  }

  /** A counter of the header. */
  counter(name: CounterName): number {
    return this.#memory.getUint32(header[name]);
  }

  /** The recorded life of a handle value; undefined when the value was never seen or has no slot. */
  life(value: bigint): LedgerLife | undefined {
    const offset = this.#slotOffset(value);
    return offset === undefined ? undefined : readLife(this.#memory, offset);
  }

  /** The lives that a value had before {@link life}, the latest first, as far as they are kept. */
  earlierLives(value: bigint, { generation }: LedgerLife): readonly LedgerLife[] {
    const index = Number(value >> 2n);
    if (this.#slotOffset(value) === undefined || index >= EARLIER_LIVES_SLOT_COUNT) return [];
    const { earlierLivesOffset, earlierLivesSizeBytes, history } = this.#layout;
    return readEarlierLives(this.#memory, earlierLivesOffset + index * earlierLivesSizeBytes, generation, history);
  }

  /** The descriptor or FILE that stands for an open handle; undefined for a handle of the program's own. */
  wrapperOf(value: bigint): Wrapper | undefined {
    const offset = this.#slotOffset(value);
    const found =
      offset === undefined ? undefined : this.#runtimeObjectOffset(this.#memory.getUint32(offset + slot.runtimeObject));
    if (found === undefined || BigInt.asIntN(64, value) !== this.#memory.getBigInt64(found + runtimeObject.handle))
      return undefined;
    if (readLife(this.#memory, found)?.isOpen !== true) return undefined;
    const descriptor = this.#runtimeObjectOffset(this.#memory.getUint32(found + runtimeObject.descriptor));
    const descriptorKey = descriptor === undefined ? 0n : this.#memory.getBigUint64(descriptor + runtimeObject.key);
    return {
      ...nameRuntimeObject(this.#memory.getBigUint64(found + runtimeObject.key)),
      ...((descriptorKey & DESCRIPTOR_KEY) === 0n ? {} : { descriptor: Number(BigInt.asIntN(32, descriptorKey)) }),
    };
  }

  /** Values that are open by the ledger, ascending. */
  *openValues(): Generator<bigint> {
    const used = this.#slotsUsed();
    for (let index = 0; index < used; index++)
      if (this.#memory.getUint8(this.#layout.slotsOffset + index * SLOT_SIZE_BYTES) & 1) yield BigInt(index) << 2n;
  }

  /** Runtime objects that are open and count themselves, in the order of the table. */
  *openObjects(): Generator<{ readonly value: bigint; readonly life: LedgerLife }> {
    if (this.counter('standaloneObjects') === 0) return;
    for (let index = 1; index <= RUNTIME_OBJECT_COUNT; index++) {
      const offset = this.#runtimeObjectOffset(index)!;
      const life = readLife(this.#memory, offset);
      if (life?.isOpen === true && life.objectType === standaloneType)
        yield { value: this.#memory.getBigUint64(offset + runtimeObject.key), life };
    }
  }

  /** The last openings of values that are closed, as far as some threads made them. */
  *openingsOfClosed(threadIds: ReadonlySet<number>): Generator<LedgerCall> {
    const used = threadIds.size === 0 ? 0 : this.#slotsUsed();
    for (let index = 0; index < used; index++) {
      const offset = this.#layout.slotsOffset + index * SLOT_SIZE_BYTES;
      const isClosed = (this.#memory.getUint8(offset) & 1) === 0;
      if (!isClosed || !threadIds.has(this.#memory.getUint32(offset + slot.openedThread))) continue;
      const opened = readLife(this.#memory, offset)?.opened;
      if (opened !== undefined) yield opened;
    }
  }

  /** Values whose last close was made while the process exited, ascending. */
  *valuesClosedWhileExiting(): Generator<bigint> {
    if (this.counter('exiting') === 0) return;
    const used = this.#slotsUsed();
    for (let index = 0; index < used; index++) {
      const offset = this.#layout.slotsOffset + index * SLOT_SIZE_BYTES;
      const isClosed = (this.#memory.getUint8(offset) & 1) === 0;
      if (isClosed && this.#memory.getUint16(offset + slot.closedWhileExiting) === 1) yield BigInt(index) << 2n;
    }
  }

  /** FILETIME at which the process began an orderly exit; undefined when it has not begun one. */
  exitingTime(): bigint | undefined {
    return this.counter('exiting') === 0 ? undefined : this.#memory.getBigUint64(header.exitingTime);
  }

  /** The end that the process made for itself; undefined when it made none. */
  exit(): LedgerExit | undefined {
    return readExit(this.#memory);
  }

  /** The thread that waits at the gate, and where its stack begins; undefined when none waits there. */
  threadAtGate(): { readonly threadId: number; readonly stackPointer: bigint } | undefined {
    const threadId = this.#memory.getUint32(header.gateThread);
    return threadId === 0 ? undefined : { threadId, stackPointer: this.#memory.getBigUint64(header.gateStackPointer) };
  }

  /** How many opens and closes succeeded, over all values. */
  totals(): { opens: number; closes: number } {
    const { lives, open } = countLives(this.#usedSlots());
    // Damaged slots must not make a count negative.
    return { opens: Math.max(0, lives - this.#openBefore), closes: Math.max(0, lives - open) };
  }

  /** How many handles, and objects that no handle stands for, are open, by type. It may be asked often. */
  openByType(): ReadonlyMap<string, number> {
    const counts = countOpenByType(this.#usedSlots());
    for (const { life } of this.openObjects()) counts.set(life.objectType, (counts.get(life.objectType) ?? 0) + 1);
    return counts;
  }

  /** Return addresses of a stack, innermost first; empty for id 0 and for an id that names no stack. */
  stack(id: number): readonly bigint[] {
    const offset = this.#stackOffset(id);
    if (offset === undefined) return [];
    const count = Math.min(this.#memory.getUint16(offset + stackNode.frameCount), MAXIMUM_FRAMES);
    const frames = Array.from({ length: count }, (_, index) =>
      this.#memory.getBigUint64(offset + stackNode.frames + index * 8),
    );
    return frames.filter((address) => address < this.#agent.begin || address >= this.#agent.end);
  }

  /** The type of what stack `id` opened; `Unknown` where it is not known, and for a stack that opened nothing. */
  typeOpenedBy(id: number): string {
    const offset = this.#stackOffset(id);
    return (offset !== undefined && objectTypes[this.#memory.getUint8(offset + stackNode.openedType)]) || 'Unknown';
  }

  /** Id of the stack that last closed a handle of those that stack `id` opened; 0 when none was closed. */
  closedBy(id: number): number {
    const offset = this.#stackOffset(id);
    return offset === undefined ? 0 : this.#memory.getUint32(offset + stackNode.closedBy);
  }

  /** Stacks that opened a handle which was closed while the program ran, each with the stack that closed one last. */
  *closedStacks(): Generator<{ readonly id: number; readonly closedBy: number }> {
    const end = this.#stackPoolUsed();
    for (let id = 1; id * 8 + stackNode.frames <= end; ) {
      const offset = this.#layout.stackPoolOffset + id * 8;
      const count = this.#memory.getUint16(offset + stackNode.frameCount);
      // The node is not written yet, or it was overwritten: its size is not known, nor where the next one begins.
      if (count === 0 || count > MAXIMUM_FRAMES) return;
      const closedBy = this.#memory.getUint32(offset + stackNode.closedBy);
      if (closedBy !== 0) yield { id, closedBy };
      id += stackNode.frames / 8 + count;
    }
  }

  *searchesGivenToWrongCloser(): Generator<number> {
    if (this.counter('misuseRecords') === 0) return; // each of them is the object of one
    for (let index = 1; index <= RUNTIME_OBJECT_COUNT; index++) {
      const life = readLife(this.#memory, this.#runtimeObjectOffset(index)!);
      if (life?.isOpen === true && life.givenToWrongCloser === true && life.objectType === 'Search')
        yield life.opened?.stackId ?? 0;
    }
  }

  /** Every misuse whose record is complete, in the order of the table. */
  misuses(): Iterable<LedgerMisuse> {
    return this.#records((memory, offset) => readMisuse(memory, offset, this.#layout));
  }

  /** Everything that child processes inherited, in the order of the table. */
  inheritances(): Iterable<LedgerInheritance> {
    return this.#records(readInheritance);
  }

  /** Everything that functions for leftovers closed, in the order of the table. */
  sweeps(): Iterable<LedgerSweep> {
    return this.#records(readSweep);
  }

  /** The times of all openings and misuses that are on record, in no order. */
  callTimes(): Iterable<bigint> {
    const runtimeObjects = Array.from({ length: RUNTIME_OBJECT_COUNT }, (_, at) => this.#runtimeObjectOffset(at + 1)!);
    return readCallTimes(this.#memory, { ...this.#layout, slotsUsed: this.#slotsUsed(), runtimeObjects });
  }

  *#records<Kind>(read: (memory: LedgerMemory, offset: number) => Kind | undefined): Generator<Kind> {
    if (this.counter('misuseRecords') === 0) return; // a look at the table would give it memory
    for (let index = 0; index < MISUSE_COUNT; index++) {
      const record = read(this.#memory, this.#layout.misusesOffset + index * MISUSE_SIZE_BYTES);
      if (record !== undefined) yield record;
    }
  }

  /** Handles of other processes that the target opened or closed. */
  callsElsewhere(): Iterable<LedgerCallElsewhere> {
    return this.counter('callsElsewhere') === 0 ? [] : readElsewhere(this.#memory, ELSEWHERE_OFFSET);
  }

  /** The images that were mapped, in order; one that was unloaded is still among them. */
  images(): Iterable<LedgerImage> {
    return readImages(this.#memory, this.#layout.imagesOffset);
  }

  gaps(): readonly Gap[] {
    const counted = countedGaps.flatMap(([counter, kind]) => countedGap(kind, this.counter(counter)));
    return this.counter('inheritedCut') === 0 ? counted : [...counted, { kind: 'inherited-cut' }];
  }

  /** Bytes of the stack pool from its start; all of it when it is full. */
  #stackPoolUsed(): number {
    const used = this.#memory.getBigUint64(header.stackPoolUsed);
    return used > BigInt(STACK_POOL_SIZE_BYTES) ? STACK_POOL_SIZE_BYTES : Number(used);
  }

  /** The number is checked each time: a target that still runs may overwrite it at any moment. */
  #slotsUsed(): number {
    const used = this.#memory.getBigUint64(header.slotsUsed);
    if (used > BigInt(this.#layout.slotCount)) throw new LedgerDamagedError('its number of used slots is wrong');
    return Number(used);
  }

  #usedSlots(): { readonly memory: LedgerMemory; readonly offset: number; readonly count: number } {
    return { memory: this.#memory, offset: this.#layout.slotsOffset, count: this.#slotsUsed() };
  }

  #slotOffset(value: bigint): number | undefined {
    const index = value >> 2n;
    return index >= 0n && index < BigInt(this.#layout.slotCount)
      ? this.#layout.slotsOffset + Number(index) * SLOT_SIZE_BYTES
      : undefined;
  }

  /** @param index plus 1; 0 for none */
  #runtimeObjectOffset(index: number): number | undefined {
    return index === 0 || index > RUNTIME_OBJECT_COUNT
      ? undefined
      : this.#layout.runtimeObjectsOffset + (index - 1) * RUNTIME_OBJECT_SIZE_BYTES;
  }

  #stackOffset(id: number): number | undefined {
    if (id <= 0 || id * 8 > STACK_POOL_SIZE_BYTES - stackNode.frames - MAXIMUM_FRAMES * 8) return undefined;
    return this.#layout.stackPoolOffset + id * 8;
  }
}
