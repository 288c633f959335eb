import type { LedgerLayout } from './ledger-layout.ts';

/** Looks at `sizeBytes` bytes of the ledger from `offset` on. */
export type ViewLedger = (offset: number, sizeBytes: number) => DataView;

interface Window {
  readonly begin: number;
  /** The end of what it may ever show. */
  readonly limit: number;
  end: number;
  view: DataView;
}

const FIRST_SIZE_BYTES = 0x1_0000;

/**
 * The ledger's memory by offsets from its beginning; all numbers are little-endian.
 *
 * It is seen through windows no larger than what has been looked at: V8 counts whatever a view shows as memory that the program uses, and to be
 * shown a hundred megabytes is a reason to it to collect garbage.
 */
export class LedgerMemory {
  readonly #view: ViewLedger;
  readonly #parts: Window;
  readonly #stackPool: Window;
  readonly #slots: Window;
  readonly #layout: LedgerLayout;

  constructor(view: ViewLedger, layout: LedgerLayout) {
    this.#view = view;
    this.#layout = layout;
    this.#parts = this.#open(0, layout.stackPoolOffset, layout.stackPoolOffset);
    this.#stackPool = this.#open(layout.stackPoolOffset, layout.slotsOffset, FIRST_SIZE_BYTES);
    this.#slots = this.#open(layout.slotsOffset, layout.sizeBytes, FIRST_SIZE_BYTES);
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

  #windowOf(offset: number): Window {
    const { stackPoolOffset, slotsOffset } = this.#layout;
    const window = offset < stackPoolOffset ? this.#parts : offset < slotsOffset ? this.#stackPool : this.#slots;
    if (offset + 8 > window.end && window.end < window.limit) this.#widen(window, offset + 8);
    return window;
  }

  /** At least to twice its size, so that it seldom happens. */
  #widen(window: Window, end: number): void {
    const sizeBytes = Math.max(end - window.begin, 2 * (window.end - window.begin));
    Object.assign(window, this.#open(window.begin, window.limit, sizeBytes));
  }

  #open(begin: number, limit: number, sizeBytes: number): Window {
    const end = Math.min(limit, begin + sizeBytes);
    return { begin, limit, end, view: this.#view(begin, end - begin) };
  }
}
