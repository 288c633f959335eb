import {
  CreateEventW,
  CreateFileMappingW,
  DuplicateHandle,
  MapViewOfFile,
  UnmapViewOfFile,
  VirtualAllocEx,
} from '../../ffi/kernel32.ts';
import { viewMemory } from '../../ffi/library.ts';
import { NtMapViewOfSection, NtUnmapViewOfSection } from '../../ffi/ntdll.ts';
import { CleanupStack } from '../../io/cleanup-stack.ts';
import {
  type AsHandle,
  CURRENT_PROCESS,
  failed,
  failedWithStatus,
  HandleOrNull,
  type OwnedHandle,
} from '../../io/index.ts';
import { HEADER_SIZE_BYTES, type LedgerLayout } from '../ledger/layout.ts';
import { Ledger } from '../ledger/ledger.ts';
import { firstParts, isWithinFirstParts, type LedgerPart } from '../ledger/memory-parts.ts';

const PAGE_READWRITE = 0x04;
const SEC_RESERVE = 0x400_0000;
const MEM_COMMIT = 0x1000;
const FILE_MAP_WRITE = 0x2;
const ViewUnmap = 2;

/** A view's memory is committed in units of so many bytes. */
const UNIT_SIZE_BYTES = 0x1_0000;

/**
 * The memory of an empty ledger, mapped here and ready to be mapped into a target.
 *
 * It is reserved whole and committed as it is used, by the agent in the target's view and by the reader in ours: Wine
 * keeps for each view of a section what is committed, Windows for all of them.
 */
export class LedgerSection implements Disposable {
  #ledger: Ledger;
  readonly #section: OwnedHandle;
  /** Its address in this process. */
  readonly #view: bigint;
  readonly #layout: LedgerLayout;
  /** For each unit of the view, 1 once it is committed. */
  readonly #units: Uint8Array;
  /** The views of the {@link ledger}. */
  readonly #views: ArrayBuffer[] = [];
  /** Views of the parts that every target has; made when they are to be emptied. */
  #parts: readonly ArrayBuffer[] | undefined;

  /** @throws Win32Error when there is no memory for it */
  constructor(layout: LedgerLayout) {
    this.#layout = layout;
    this.#units = new Uint8Array(Math.ceil(layout.sizeBytes / UNIT_SIZE_BYTES));
    using taken = new CleanupStack();
    this.#section = taken.use(createSection(layout.sizeBytes));
    this.#view = MapViewOfFile(this.#section.asRawHandle(), FILE_MAP_WRITE, 0, 0, 0n);
    if (this.#view === 0n) throw failed('map', 'the ledger');
    taken.use({ [Symbol.dispose]: () => UnmapViewOfFile(this.#view) });
    for (const { offset, sizeBytes } of firstParts(layout)) this.#commit(offset, sizeBytes);
    this.#ledger = this.#begin();
    taken.disarm();
  }

  get ledger(): Ledger {
    return this.#ledger;
  }

  /**
   * Makes a new ledger of the memory, where nothing writes to it any more. The old one cannot be read from then on.
   *
   * @returns `false` when the target has needed more than the parts that every target has, or damaged the ledger: then
   *   all stays
   */
  tryEmpty(): boolean {
    if (!isWithinFirstParts(this.#look(0, HEADER_SIZE_BYTES), this.#layout)) return false;
    this.#parts ??= firstParts(this.#layout).map(({ offset, sizeBytes }) =>
      viewMemory(this.#view + BigInt(offset), sizeBytes),
    );
    for (const part of this.#parts) clear(new Uint8Array(part));
    this.#closeViews();
    this.#ledger = this.#begin();
    return true;
  }

  /** A look through one of them is an error from now on. V8 no longer counts their memory. */
  #closeViews(): void {
    for (const view of this.#views.splice(0)) view.transfer(0);
  }

  #begin(): Ledger {
    const ledger = new Ledger((offset, sizeBytes) => this.#look(offset, sizeBytes), this.#layout);
    ledger.initialise();
    return ledger;
  }

  get sizeBytes(): number {
    return this.#layout.sizeBytes;
  }

  /**
   * Maps the whole section into a target, which needs no handle for it. The address that it has in this process is
   * tried first: no DLL of the system is going to be mapped there, and the program's heap keeps the low addresses that
   * it has when the program runs alone.
   *
   * @returns its address there
   * @throws NtStatusError when there is no room for it
   */
  mapInto(target: AsHandle): bigint {
    const base = BigUint64Array.of(this.#view);
    if (this.#mapAt(target, base) !== 0) {
      base[0] = 0n;
      const status = this.#mapAt(target, base);
      if (status !== 0) throw failedWithStatus('map the ledger into', 'the target', status);
    }
    this.commitIn(target, base[0]!, firstParts(this.#layout));
    return base[0]!;
  }

  /**
   * Maps the section in the place of an earlier ledger of the same size. Code that keeps addresses of that one goes on
   * with this one. No thread of the target may run meanwhile.
   *
   * @throws NtStatusError when that is not possible; the earlier one may be gone then
   */
  replaceIn(target: AsHandle, address: bigint): void {
    const removed = NtUnmapViewOfSection(target.asHandle().asRawHandle(), address);
    if (removed !== 0) throw failedWithStatus('remove the ledger of an earlier audit from', 'the target', removed);
    const status = this.#mapAt(target, BigUint64Array.of(address));
    if (status !== 0) throw failedWithStatus('map the ledger into', 'the target', status);
    this.commitIn(target, address, firstParts(this.#layout));
  }

  /**
   * Gives memory to parts of a ledger in a target.
   *
   * @param address of the ledger there
   * @throws Win32Error when Windows has no more
   */
  commitIn(target: AsHandle, address: bigint, parts: readonly LedgerPart[]): void {
    for (const { offset, sizeBytes } of parts) {
      const begin = address + BigInt(offset);
      const raw = target.asHandle().asRawHandle();
      if (VirtualAllocEx(raw, begin, BigInt(sizeBytes), MEM_COMMIT, PAGE_READWRITE) === 0n)
        throw failed('commit memory of', 'the ledger in the target');
    }
  }

  /** Views a part, after giving it memory here. */
  #look(offset: number, sizeBytes: number): DataView {
    this.#commit(offset, sizeBytes);
    const view = viewMemory(this.#view + BigInt(offset), sizeBytes);
    this.#views.push(view);
    return new DataView(view);
  }

  #commit(offset: number, sizeBytes: number): void {
    const end = Math.ceil((offset + sizeBytes) / UNIT_SIZE_BYTES);
    for (let unit = Math.floor(offset / UNIT_SIZE_BYTES); unit < end; unit++) {
      if (this.#units[unit] === 1) continue;
      let last = unit + 1;
      while (last < end && this.#units[last] !== 1) last++;
      const size = Math.min(last * UNIT_SIZE_BYTES, this.sizeBytes) - unit * UNIT_SIZE_BYTES;
      const begin = this.#view + BigInt(unit * UNIT_SIZE_BYTES);
      if (VirtualAllocEx(CURRENT_PROCESS, begin, BigInt(size), MEM_COMMIT, PAGE_READWRITE) === 0n)
        throw failed('commit', 'memory of the ledger');
      this.#units.fill(1, unit, last);
      unit = last;
    }
  }

  /** @returns NTSTATUS */
  #mapAt(target: AsHandle, base: BigUint64Array): number {
    return NtMapViewOfSection(
      this.#section.asRawHandle(),
      target.asHandle().asRawHandle(),
      base,
      0n,
      0n,
      null,
      new BigUint64Array(1),
      ViewUnmap,
      0,
      PAGE_READWRITE,
    );
  }

  [Symbol.dispose](): void {
    using _section = this.#section;
    this.#closeViews();
    for (const part of this.#parts ?? []) part.transfer(0);
    UnmapViewOfFile(this.#view);
  }
}

const zeros = new Uint8Array(UNIT_SIZE_BYTES);
const PAGE_SIZE_BYTES = 0x1000;

/** Fills bytes with zeros, and writes to no page that has none but zeros: a page costs memory once it is written to. */
function clear(bytes: Uint8Array): void {
  for (const unit of cut(bytes, UNIT_SIZE_BYTES))
    if (!isZero(unit)) for (const page of cut(unit, PAGE_SIZE_BYTES)) if (!isZero(page)) page.fill(0);
}

function* cut(bytes: Uint8Array, sizeBytes: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += sizeBytes) yield bytes.subarray(at, at + sizeBytes);
}

function isZero(bytes: Uint8Array): boolean {
  return Buffer.compare(bytes, bytes.length === zeros.length ? zeros : zeros.subarray(0, bytes.length)) === 0;
}

function createSection(sizeBytes: number): OwnedHandle {
  const high = Math.floor(sizeBytes / 2 ** 32);
  const raw = CreateFileMappingW(CURRENT_PROCESS, null, PAGE_READWRITE | SEC_RESERVE, high, sizeBytes % 2 ** 32, null);
  return HandleOrNull.fromRawHandle(raw).expect(
    'create',
    `a ledger of ${Math.round(sizeBytes / 2 ** 20)} MiB`,
    'a smaller one',
  );
}

/**
 * Gives the target a handle that permits nothing, to an object that no other code knows.
 *
 * @returns its value there
 * @throws Win32Error when Windows refuses
 */
export function placeSentinel(target: AsHandle): bigint {
  using event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect(
    'create',
    'the sentinel of the quarantine',
  );
  const value = new BigUint64Array(1);
  if (!DuplicateHandle(CURRENT_PROCESS, event.asRawHandle(), target.asHandle().asRawHandle(), value, 0, false, 0)) {
    throw failed('place', 'the sentinel of the quarantine', 'it without --quarantine');
  }
  return value[0]!;
}
