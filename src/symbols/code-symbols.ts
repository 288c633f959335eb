import { lastAtOrBelow } from './sorted-search.ts';

/** A name that a file gives to a place in its code. */
export interface CodeSymbol {
  /** Address relative to the image's base. */
  readonly rva: number;
  /** As the file spells it, decorated. */
  readonly name: string;
}

/** More functions than any real file has names for. */
export const SYMBOL_COUNT_MAX: number = 2 ** 21;

/**
 * A symbol's address and number in one: a double holds both. Sorting plain numbers is a tenth of the work of sorting
 * with a comparison.
 */
export function symbolKey(rva: number, number: number): number {
  return rva * SYMBOL_COUNT_MAX + number;
}

/**
 * The symbols of a table by address. A DLL has thousands, and a report names a few: only the names of those are read.
 */
export class CodeSymbols {
  readonly #keys: Float64Array;
  readonly #nameOf: (number: number) => string;
  /** By address: a file may give one address a million names, and each is read once. */
  readonly #best = new Map<number, CodeSymbol>();

  /**
   * @param keys see {@link symbolKey}, in any order; several may have one address
   * @param nameOf reads the name of a symbol, by its number
   */
  constructor(keys: readonly number[], nameOf: (number: number) => string) {
    this.#keys = Float64Array.from(keys).sort();
    this.#nameOf = nameOf;
  }

  /** The last symbol at an address or below, by its best name; `undefined` where there is none. */
  atOrBelow(rva: number): CodeSymbol | undefined {
    let index = lastAtOrBelow(this.#keys.length, (i) => this.#rvaAt(i), rva);
    if (index < 0) return undefined;
    const known = this.#best.get(this.#rvaAt(index));
    if (known !== undefined) return known;
    let best = this.#symbolAt(index);
    while (--index >= 0 && this.#rvaAt(index) === best.rva) best = nearer(best, this.#symbolAt(index));
    this.#best.set(best.rva, best);
    return best;
  }

  #rvaAt(index: number): number {
    return Math.floor(this.#keys[index]! / SYMBOL_COUNT_MAX);
  }

  #symbolAt(index: number): CodeSymbol {
    return { rva: this.#rvaAt(index), name: this.#nameOf(this.#keys[index]! % SYMBOL_COUNT_MAX) };
  }
}

export const noSymbols: CodeSymbols = new CodeSymbols([], () => '');

/** The nearer of two symbols at or below an address; at one place, the one with the better name. */
export function nearer(a: CodeSymbol, b: CodeSymbol): CodeSymbol;
export function nearer(a: CodeSymbol | undefined, b: CodeSymbol | undefined): CodeSymbol | undefined;
export function nearer(a: CodeSymbol | undefined, b: CodeSymbol | undefined): CodeSymbol | undefined {
  if (a === undefined || b === undefined) return a ?? b;
  if (a.rva !== b.rva) return a.rva > b.rva ? a : b;
  return isBetterName(a.name, b.name) ? a : b;
}

/**
 * Prefers `NtClose` to `ZwClose`, `fopen` to ucrtbase's `_o_fopen`, and a function's own name to `.text` or a label;
 * otherwise the first by spelling.
 */
function isBetterName(name: string, known: string): boolean {
  const rank = (text: string): number => (/^(?:Zw[A-Z]|_o_)/.test(text) ? 1 : text.startsWith('.') ? 2 : 0);
  return rank(name) !== rank(known) ? rank(name) < rank(known) : name < known;
}
