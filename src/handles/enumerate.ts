import { STATUS_INFO_LENGTH_MISMATCH } from '../ffi/constants.ts';
import { CreateEventW } from '../ffi/kernel32.ts';
import { NtQueryInformationProcess, NtQuerySystemInformation } from '../ffi/ntdll.ts';
import { type AsHandle, BorrowedHandle } from '../io/handle.ts';
import { HandleOrNull } from '../io/handle-or-null.ts';
import { CURRENT_PROCESS } from '../io/raw.ts';
import { failedWithStatus } from '../io/system-error.ts';
import { objectTypes } from './types.ts';

/** One line of the kernel's handle table. */
export interface HandleEntry {
  readonly processId: number;
  /** Signed: the kernel's own handles (process 4) are negative. */
  readonly value: bigint;
  /** Kernel type name (`File` for a socket), or `Unknown`. */
  readonly type: string;
  /** `GrantedAccess` bits. */
  readonly access: number;
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}

const SystemExtendedHandleInformation = 64;
const ProcessHandleInformation = 51;
const ProcessHandleCount = 20;
const HEADER_SIZE_BYTES = 16;
const ENTRY_SIZE_BYTES = 40;
const HEADER_WORDS = HEADER_SIZE_BYTES / 4;
const ENTRY_WORDS = ENTRY_SIZE_BYTES / 4;
const TABLE_SIZE_BYTES_MAX = 2 ** 31 - 65_536;
const OBJ_PROTECT_CLOSE = 1;
const OBJ_INHERIT = 2;

/** The layout of the two kinds of table where they differ, in 32-bit words from the start of an entry. */
interface Layout {
  readonly informationClass: number;
  readonly valueWord: number;
  /** `undefined`: the table is of one process. */
  readonly processIdWord: number | undefined;
  /** Bits to shift word 7 right by, to get the type index. */
  readonly typeShiftBits: number;
}

// struct SYSTEM_HANDLE_TABLE_ENTRY_INFO_EX: +0 PVOID Object, +8 ULONG_PTR UniqueProcessId, +16 ULONG_PTR HandleValue,
// +24 ACCESS_MASK GrantedAccess, +28 USHORT CreatorBackTraceIndex, +30 USHORT ObjectTypeIndex, +32 ULONG
// HandleAttributes
const SYSTEM: Layout = {
  informationClass: SystemExtendedHandleInformation,
  valueWord: 4,
  processIdWord: 2,
  typeShiftBits: 16,
};

// struct PROCESS_HANDLE_TABLE_ENTRY_INFO: +0 HANDLE HandleValue, +8 SIZE_T HandleCount, +16 SIZE_T PointerCount,
// +24 ACCESS_MASK GrantedAccess, +28 ULONG ObjectTypeIndex, +32 ULONG HandleAttributes
const PROCESS: Layout = {
  informationClass: ProcessHandleInformation,
  valueWord: 0,
  processIdWord: undefined,
  typeShiftBits: 0,
};

const ACCESS_WORD = 6;
const TYPE_WORD = 7;
const ATTRIBUTES_WORD = 8;

/**
 * The kernel's handle table at one moment. It keeps the bytes that the kernel wrote, forty for each handle, and makes
 * an object only in {@link entryAt}. A million handles take forty megabytes.
 */
export class HandleTable {
  /** Number of handles; indices run from 0 to `count - 1`. */
  readonly count: number;
  readonly #words: Uint32Array;
  readonly #layout: Layout;
  readonly #processId: number;
  /** Positions of this table's handles among {@link #words}; `undefined` where it has all of them. */
  readonly #positions: Uint32Array | undefined;

  private constructor(words: Uint32Array, layout: Layout, processId: number, positions?: Uint32Array) {
    this.#words = words;
    this.#layout = layout;
    this.#processId = processId;
    this.#positions = positions;
    this.count = positions?.length ?? countEntries(words);
  }

  /**
   * The handles of all processes, in the kernel's order: by process, and by value within a process.
   *
   * @throws NtStatusError when the kernel refuses
   */
  static readSystem(): HandleTable {
    return new HandleTable(readTable(SYSTEM, undefined), SYSTEM, 0);
  }

  /**
   * The handles of one process. The kernel is asked for them alone where it can (Windows 8 and later, not Wine 8 or
   * 10); otherwise they are picked from the table of the system.
   *
   * @param process opened with PROCESS_QUERY_INFORMATION; without that right the system's table is read
   * @throws NtStatusError when the kernel refuses
   */
  static readProcess(process: AsHandle, processId: number): HandleTable {
    const words = tryReadTable(PROCESS, process);
    if (typeof words !== 'number') return new HandleTable(words, PROCESS, processId);
    return HandleTable.readSystem().ofProcess(processId);
  }

  /**
   * Learns the names of handle types in advance, so that the next table need not wait for them.
   *
   * @throws NtStatusError when the kernel refuses
   */
  static learnTypeNames(): void {
    typeNames(typeof tryReadTable(PROCESS, BorrowedHandle.borrowRaw(CURRENT_PROCESS)) === 'number' ? SYSTEM : PROCESS);
  }

  /** The handles of one process of this table, in the same order; shares this table's memory. */
  ofProcess(processId: number): HandleTable {
    const pidWord = this.#layout.processIdWord;
    if (pidWord === undefined) {
      return processId === this.#processId
        ? this
        : new HandleTable(this.#words, this.#layout, processId, new Uint32Array(0));
    }
    const words = this.#words;
    const found = new Uint32Array(this.count);
    let count = 0;
    if (this.#positions === undefined) {
      for (let position = 0, at = HEADER_WORDS + pidWord; position < this.count; position++, at += ENTRY_WORDS) {
        if (words[at] === processId) found[count++] = position;
      }
    } else {
      for (const position of this.#positions) {
        if (words[HEADER_WORDS + position * ENTRY_WORDS + pidWord] === processId) found[count++] = position;
      }
    }
    return new HandleTable(words, this.#layout, processId, found.slice(0, count));
  }

  /** A table without handles. */
  static empty(): HandleTable {
    return new HandleTable(new Uint32Array(HEADER_WORDS), PROCESS, 0);
  }

  /** {@link ofProcess} for every process that has handles, read in one go. */
  byProcess(): ReadonlyMap<number, HandleTable> {
    const tables = new Map<number, HandleTable>();
    for (const [processId, count] of this.countByProcess()) {
      const positions = new Uint32Array(count);
      tables.set(processId, new HandleTable(this.#words, this.#layout, processId, positions));
    }
    const filled = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      const processId = this.processIdAt(i);
      const at = filled.get(processId) ?? 0;
      tables.get(processId)!.#positions![at] = this.#positions?.[i] ?? i;
      filled.set(processId, at + 1);
    }
    return tables;
  }

  /** Handles of each process in this table. */
  countByProcess(): Map<number, number> {
    const counts = new Map<number, number>();
    for (let i = 0; i < this.count; i++) {
      const processId = this.processIdAt(i);
      counts.set(processId, (counts.get(processId) ?? 0) + 1);
    }
    return counts;
  }

  /** Handles of each type in this table. */
  countByType(): Map<string, number> {
    const perIndex = new Uint32Array(65_536);
    for (let i = 0; i < this.count; i++) perIndex[this.#typeIndexAt(i)]! += 1;
    const counts = new Map<string, number>();
    perIndex.forEach((count, typeIndex) => {
      if (count > 0) counts.set(this.#typeName(typeIndex), (counts.get(this.#typeName(typeIndex)) ?? 0) + count);
    });
    return counts;
  }

  processIdAt(index: number): number {
    const pidWord = this.#layout.processIdWord;
    return pidWord === undefined ? this.#processId : this.#words[this.#entry(index) + pidWord]!;
  }

  valueAt(index: number): bigint {
    const at = this.#entry(index) + this.#layout.valueWord;
    const low = this.#words[at]!;
    const high = this.#words[at + 1]!;
    return high === 0 ? BigInt(low) : BigInt.asIntN(64, (BigInt(high) << 32n) | BigInt(low));
  }

  accessAt(index: number): number {
    return this.#words[this.#entry(index) + ACCESS_WORD]!;
  }

  typeAt(index: number): string {
    return this.#typeName(this.#typeIndexAt(index));
  }

  /**
   * The address of the kernel object, which identifies it; `0n` where the kernel hides it, as Wine 8 and 10 do, and
   * Windows 11 24H2 without SeDebugPrivilege.
   */
  objectAddressAt(index: number): bigint {
    if (this.#layout.processIdWord === undefined) return 0n; // The table of one process has no addresses.
    const at = this.#entry(index);
    return (BigInt(this.#words[at + 1]!) << 32n) | BigInt(this.#words[at]!);
  }

  inheritableAt(index: number): boolean {
    return (this.#words[this.#entry(index) + ATTRIBUTES_WORD]! & OBJ_INHERIT) !== 0;
  }

  protectFromCloseAt(index: number): boolean {
    return (this.#words[this.#entry(index) + ATTRIBUTES_WORD]! & OBJ_PROTECT_CLOSE) !== 0;
  }

  /** One handle as an object. Make few of them. */
  entryAt(index: number): HandleEntry {
    return {
      processId: this.processIdAt(index),
      value: this.valueAt(index),
      type: this.typeAt(index),
      access: this.accessAt(index),
      inheritable: this.inheritableAt(index),
      protectFromClose: this.protectFromCloseAt(index),
    };
  }

  #entry(index: number): number {
    if (!(index >= 0 && index < this.count)) throw new RangeError(`No handle ${index}: the table has ${this.count}`);
    return HEADER_WORDS + (this.#positions?.[index] ?? index) * ENTRY_WORDS;
  }

  #typeIndexAt(index: number): number {
    return (this.#words[this.#entry(index) + TYPE_WORD]! >>> this.#layout.typeShiftBits) & 0xffff;
  }

  #typeName(typeIndex: number): string {
    return typeNames(this.#layout).get(typeIndex) ?? 'Unknown';
  }
}

/**
 * How many handles a process has open.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION
 * @throws NtStatusError when the kernel refuses
 */
export function countHandles(process: AsHandle, processId: number): number {
  const count = new Uint32Array(1);
  const raw = process.asHandle().asRawHandle();
  const status = NtQueryInformationProcess(raw, ProcessHandleCount, count, 4, null);
  if (status !== 0) throw failedWithStatus('count the handles of process', String(processId), status);
  // Wine 8 and 10 succeed and give 0 for every process [ran]. Only a process that has ended has no handle.
  return count[0]! > 0 ? count[0]! : HandleTable.readSystem().ofProcess(processId).count;
}

function countEntries(words: Uint32Array): number {
  const count = words[0]! + words[1]! * 2 ** 32; // ULONG_PTR NumberOfHandles
  if (HEADER_WORDS + count * ENTRY_WORDS > words.length) {
    throw new RangeError(
      `The handle table claims ${count} handles and has room for ${Math.floor((words.length - HEADER_WORDS) / ENTRY_WORDS)}`,
    );
  }
  return count;
}

const lastTableSizeBytes = new Map<Layout, number>();

function readTable(layout: Layout, process: AsHandle | undefined): Uint32Array {
  const table = tryReadTable(layout, process);
  if (typeof table === 'number') throw failedWithStatus('read the handle table', '', table);
  return table;
}

/** The table's bytes, or the status of the refusal. */
function tryReadTable(layout: Layout, process: AsHandle | undefined): Uint32Array | number {
  const neededBytes = new Uint32Array(1);
  for (let sizeBytes = lastTableSizeBytes.get(layout) ?? 65_536; ; ) {
    // Zeroed memory, because for a process that has ended the kernel may report success and write nothing.
    const words = new Uint32Array(sizeBytes / 4);
    const status =
      process === undefined
        ? NtQuerySystemInformation(layout.informationClass, words, sizeBytes, neededBytes)
        : NtQueryInformationProcess(
            process.asHandle().asRawHandle(),
            layout.informationClass,
            words,
            sizeBytes,
            neededBytes,
          );
    if (status === 0) {
      lastTableSizeBytes.set(layout, sizeBytes);
      return words;
    }
    if (status !== STATUS_INFO_LENGTH_MISMATCH || sizeBytes >= TABLE_SIZE_BYTES_MAX) return status;
    // The table may have grown again by the next call.
    const wantedBytes = Math.max(neededBytes[0]! + (neededBytes[0]! >>> 4) + 65_536, sizeBytes * 1.5);
    sizeBytes = Math.min(Math.ceil(wantedBytes / 4096) * 4096, TABLE_SIZE_BYTES_MAX);
  }
}

const namesByLayout = new Map<Layout, ReadonlyMap<number, string>>();

/** Type names by the index that handle tables of this layout use. */
function typeNames(layout: Layout): ReadonlyMap<number, string> {
  let names = namesByLayout.get(layout);
  if (names === undefined) {
    const shift = measureTypeShift(layout);
    names = new Map(objectTypes().map((type) => [type.index + shift, type.name]));
    namesByLayout.set(layout, names);
  }
  return names;
}

/**
 * The difference between the type indices of a handle table and those of the type table: 0 on Windows [src], but -2 on
 * Wine 8 and 10, which count from 0 in the first and from 2 in the second [ran]. It is measured with an event of this
 * process, so that a Wine without this fault works, too.
 */
function measureTypeShift(layout: Layout): number {
  using probe = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create an event', '');
  const value = Number(probe.asRawHandle());
  const words = readTable(layout, layout === PROCESS ? BorrowedHandle.borrowRaw(CURRENT_PROCESS) : undefined);
  const count = countEntries(words);
  const eventIndex = objectTypes().find((type) => type.name === 'Event')?.index;
  for (let position = 0; position < count; position++) {
    const at = HEADER_WORDS + position * ENTRY_WORDS;
    const ours = layout.processIdWord === undefined || words[at + layout.processIdWord] === process.pid;
    if (ours && words[at + layout.valueWord] === value && eventIndex !== undefined) {
      return ((words[at + TYPE_WORD]! >>> layout.typeShiftBits) & 0xffff) - eventIndex;
    }
  }
  throw new Error('Cannot read the handle table: it does not show an event that this process has open.');
}
