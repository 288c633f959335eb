import type { LedgerLayout } from './layout.ts';

/** Looks at `sizeBytes` bytes of the ledger from `offset` on. */
export type ViewLedger = (offset: number, sizeBytes: number) => DataView;

interface Window {
  readonly begin: number;
  readonly end: number;
  /** A window never grows beyond this offset. */
  readonly limit: number;
  readonly view: DataView;
  /** The same memory. */
  readonly words: Uint32Array;
}

/** A part of a ledger as it was at some time. */
interface LedgerCopy {
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A view of copies; what was not copied is 0. */
export function viewCopies(copies: readonly LedgerCopy[], offset: number, sizeBytes: number): DataView {
  const view = new Uint8Array(sizeBytes);
  for (const copy of copies) {
    const begin = Math.max(offset, copy.offset);
    const end = Math.min(offset + sizeBytes, copy.offset + copy.bytes.length);
    if (begin < end) view.set(copy.bytes.subarray(begin - copy.offset, end - copy.offset), begin - offset);
  }
  return new DataView(view.buffer);
}

const FIRST_SIZE_BYTES = 0x1_0000;

/**
 * The ledger's memory by offsets from its beginning; all numbers are little-endian.
 *
 * The reader looks through windows that are no larger than what it has read. V8 counts all that a view shows as memory
 * that the program uses, and a view of a hundred megabytes makes it collect garbage.
 */
export class LedgerMemory {
  readonly #view: ViewLedger;
  /** The header; then misuses, images, runtime objects, the stack pool, the slots, and both kinds of lives. */
  readonly #windows: Window[];
  /** The window of the last read: the next read is most often beside it. */
  #window: Window;

  constructor(view: ViewLedger, layout: LedgerLayout) {
    const { misusesOffset, imagesOffset, runtimeObjectsOffset, stackPoolOffset } = layout;
    const { slotsOffset, earlierLivesOffset, misuseLivesOffset, sizeBytes } = layout;
    this.#view = view;
    const begins = [
      misusesOffset,
      imagesOffset,
      runtimeObjectsOffset,
      stackPoolOffset,
      slotsOffset,
      earlierLivesOffset,
      misuseLivesOffset,
    ];
    this.#window = this.#open(0, misusesOffset, misusesOffset);
    this.#windows = [this.#window];
    // Each of these is opened when something in it is read.
    const closed = new ArrayBuffer(0);
    const [noView, noWords] = [new DataView(closed), new Uint32Array(closed)];
    for (const [index, begin] of begins.entries()) {
      const limit = begins[index + 1] ?? sizeBytes;
      this.#windows.push({ begin, end: begin, limit, view: noView, words: noWords });
    }
  }

  getUint8(offset: number): number {
    const { view, begin } = this.#windowOf(offset);
    return view.getUint8(offset - begin);
  }

  getUint16(offset: number): number {
    const { view, begin } = this.#windowOf(offset);
    return view.getUint16(offset - begin, true);
  }

  getUint32(offset: number): number {
    const { view, begin } = this.#windowOf(offset);
    return view.getUint32(offset - begin, true);
  }

  getBigInt64(offset: number): bigint {
    const { view, begin } = this.#windowOf(offset);
    return view.getBigInt64(offset - begin, true);
  }

  getBigUint64(offset: number): bigint {
    const { view, begin } = this.#windowOf(offset);
    return view.getBigUint64(offset - begin, true);
  }

  /**
   * Reads a number that the target may be changing, after everything that was read before and before everything that is
   * read after. The other reads may be left out by a compiler that knows the number already, or come in another order.
   */
  loadUint32(offset: number): number {
    const { words, begin } = this.#windowOf(offset);
    return Atomics.load(words, (offset - begin) >>> 2);
  }

  /** A copy of a part. */
  copy(offset: number, sizeBytes: number): LedgerCopy {
    const { buffer, byteOffset } = this.#view(offset, sizeBytes);
    return { offset, bytes: new Uint8Array(buffer, byteOffset, sizeBytes).slice() };
  }

  /** Replaces a number in one step, unless the target has changed it. @returns whether it did */
  exchangeUint32(offset: number, expected: number, value: number): boolean {
    const { view, begin } = this.#windowOf(offset);
    const word = new Uint32Array(view.buffer, view.byteOffset + offset - begin, 1);
    return Atomics.compareExchange(word, 0, expected, value) === expected;
  }

  setUint16(offset: number, value: number): void {
    const { view, begin } = this.#windowOf(offset);
    view.setUint16(offset - begin, value, true);
  }

  setUint32(offset: number, value: number): void {
    const { view, begin } = this.#windowOf(offset);
    view.setUint32(offset - begin, value, true);
  }

  setBigUint64(offset: number, value: bigint): void {
    const { view, begin } = this.#windowOf(offset);
    view.setBigUint64(offset - begin, value, true);
  }

  /** The window that shows the eight bytes at an offset, or as many as there are before its limit. */
  #windowOf(offset: number): Window {
    const window = this.#window;
    return offset >= window.begin && offset + 8 <= window.end ? window : this.#select(offset);
  }

  #select(offset: number): Window {
    const index = Math.max(
      0,
      this.#windows.findLastIndex(({ begin }) => offset >= begin),
    );
    const { begin, end, limit } = this.#windows[index]!;
    // A window at least doubles, so that it seldom has to grow.
    if (offset + 8 > end && end < limit)
      this.#windows[index] = this.#open(
        begin,
        Math.max(FIRST_SIZE_BYTES, offset + 8 - begin, 2 * (end - begin)),
        limit,
      );
    return (this.#window = this.#windows[index]!);
  }

  #open(begin: number, sizeBytes: number, limit: number): Window {
    const end = Math.min(limit, begin + sizeBytes);
    const view = this.#view(begin, end - begin);
    const words = new Uint32Array(view.buffer, view.byteOffset, view.byteLength >>> 2);
    return { begin, end, limit, view, words };
  }
}
