/** A name that a file gives to a place in its code. */
export interface CodeSymbol {
  /** Address relative to the image's base. */
  readonly rva: number;
  /** As the file spells it, decorated. */
  readonly name: string;
}

/** More functions than any file has names for. */
const COUNT_MAX = 2 ** 21;

/**
 * The symbols of a file by address. A DLL has some thousand, of which a report names a few: where the others' names stand is noted,
 * and they are never read.
 */
export class CodeSymbols {
  readonly #nameAt: (place: number) => string;
  readonly #isBetterName: (name: string, known: string) => boolean;
  readonly #places: number[] = [];
  /** rva * COUNT_MAX + index into the places: a double holds both, and sorting plain numbers is a tenth of the work of comparing. */
  readonly #keys: number[] = [];
  #sorted: Float64Array | undefined;

  /**
   * @param nameAt reads a name, by the number that stands for its place
   * @param isBetterName which of two names of one address is shown
   */
  constructor(nameAt: (place: number) => string, isBetterName: (name: string, known: string) => boolean) {
    this.#nameAt = nameAt;
    this.#isBetterName = isBetterName;
  }

  /** Notes a symbol; two may have one address. */
  add(rva: number, place: number): void {
    if (this.#places.length === COUNT_MAX) return;
    this.#keys.push(rva * COUNT_MAX + this.#places.length);
    this.#places.push(place);
    this.#sorted = undefined;
  }

  /** The last symbol at an address or below, by its best name; `undefined` where there is none. */
  atOrBelow(rva: number): CodeSymbol | undefined {
    const keys = (this.#sorted ??= Float64Array.from(this.#keys).sort());
    let index = lastAtOrBelow(keys.length, (i) => rvaOf(keys[i]!), rva);
    if (index < 0) return undefined;
    const nearest = rvaOf(keys[index]!);
    let name = this.#nameOf(keys[index]!);
    while (--index >= 0 && rvaOf(keys[index]!) === nearest) {
      const other = this.#nameOf(keys[index]!);
      if (this.#isBetterName(other, name)) name = other;
    }
    return { rva: nearest, name };
  }

  #nameOf(key: number): string {
    return this.#nameAt(this.#places[key % COUNT_MAX]!);
  }
}

function rvaOf(key: number): number {
  return Math.floor(key / COUNT_MAX);
}

/** The last index whose value is at most `limit`, or -1; values ascend. */
export function lastAtOrBelow(count: number, valueAt: (index: number) => number, limit: number): number {
  let low = 0;
  let high = count;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueAt(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
