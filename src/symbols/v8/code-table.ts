import { lastAtOrBelow } from '../sorted-search.ts';
import type { SourceTable } from './positions.ts';

/** Code that V8 made. Addresses are below 2^53, as all of user space is. */
export interface Code {
  readonly begin: number;
  readonly end: number;
  /** Microseconds on the clock of its log. */
  readonly madeUs: number;
  /** `builtin`: V8's own; `interpreted`: a function's copy of the interpreter's entry; `compiled`: by a compiler. */
  readonly kind: 'builtin' | 'interpreted' | 'compiled';
  /** The name as V8 wrote it: `openConfig Z:\\leak.js:2:20`, or that of a builtin. */
  readonly name: string;
  table?: SourceTable;
}

/** Code that lies below the last one that begins before an address, and may reach to it: overlaps are old code. */
const CANDIDATES_MAX = 4096;

/**
 * Which code lay at an address, and when. V8 moves code and throws it away, and uses its memory again, without a word
 * in the log: the code that was made last before a moment is the one that lay there.
 */
export class CodeTable {
  readonly #codes: Code[] = [];
  #isSorted = true;
  /** For each code, the highest end of it and of all before it. */
  #ends: readonly number[] = [];

  get count(): number {
    return this.#codes.length;
  }

  add(code: Code): void {
    this.#codes.push(code);
    this.#isSorted = false;
  }

  /** @param timeUs on the clock of the log; without it, the code that was made last */
  find(address: number, timeUs: number = Number.POSITIVE_INFINITY): Code | undefined {
    if (!this.#isSorted) this.#sort();
    const last = lastAtOrBelow(this.#codes.length, (index) => this.#codes[index]!.begin, address);
    let [before, after]: (Code | undefined)[] = [];
    for (let index = last; index >= 0 && last - index < CANDIDATES_MAX && this.#ends[index]! > address; index--) {
      const code = this.#codes[index]!;
      if (code.end <= address) continue;
      if (code.madeUs <= timeUs) {
        if (before === undefined || code.madeUs > before.madeUs) before = code;
      } else if (after === undefined || code.madeUs < after.madeUs) after = code;
    }
    return before ?? after;
  }

  #sort(): void {
    this.#codes.sort((one, other) => one.begin - other.begin || one.madeUs - other.madeUs);
    let highest = 0;
    this.#ends = this.#codes.map(({ end }) => (highest = Math.max(highest, end)));
    this.#isSorted = true;
  }
}
