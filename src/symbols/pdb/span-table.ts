import type { MemoryBudget } from '../memory-budget.ts';
import { lastAtOrBelow } from '../sorted-search.ts';

/** More than any real file has: each is a function or a variable at least. */
const SPANS_MAX = 2 ** 21;
/** How many spans below an address are looked at: in real files few overlap. */
const OVERLAPS_MAX = 16;
const SPAN_SIZE_BYTES = 24;

/** A part of the image, relative to it: from `begin` up to, and without, `end`. */
interface PdbSpan {
  readonly begin: number;
  readonly end: number;
  /** A number that says what lies there, such as an offset in a stream. */
  readonly value: number;
}

/** Many spans of an image, kept as plain numbers: a large program has a hundred thousand in one object file. */
export class SpanTable {
  readonly #budget: MemoryBudget;
  /** The beginning and the row in one: plain numbers are sorted fast. */
  #keys: number[] | Float64Array = [];
  readonly #ends: number[] = [];
  readonly #values: number[] = [];

  constructor(budget: MemoryBudget) {
    this.#budget = budget;
  }

  get count(): number {
    return this.#ends.length;
  }

  /**
   * Adds a span; an empty one is left out.
   *
   * @throws RangeError where no memory is left for it
   */
  add(begin: number, sizeBytes: number, value: number): void {
    if (!(begin >= 0 && begin < 2 ** 32 && sizeBytes > 0 && this.count < SPANS_MAX)) return;
    this.#budget.spend(SPAN_SIZE_BYTES);
    (this.#keys as number[]).push(begin * SPANS_MAX + this.count);
    this.#ends.push(begin + sizeBytes);
    this.#values.push(value);
  }

  /** The span that holds an address: of several the one that begins last, and of these the one that was added first. */
  find(rva: number): PdbSpan | undefined {
    if (Array.isArray(this.#keys)) this.#keys = Float64Array.from(this.#keys).sort();
    const keys = this.#keys;
    const last = lastAtOrBelow(keys.length, (index) => keys[index]!, rva * SPANS_MAX + SPANS_MAX - 1);
    let found: PdbSpan | undefined;
    for (let index = last; index >= Math.max(0, last + 1 - OVERLAPS_MAX); index--) {
      const begin = Math.floor(keys[index]! / SPANS_MAX);
      if (found !== undefined && begin !== found.begin) break;
      const row = keys[index]! % SPANS_MAX;
      if (rva < this.#ends[row]!) found = { begin, end: this.#ends[row]!, value: this.#values[row]! };
    }
    return found;
  }
}
