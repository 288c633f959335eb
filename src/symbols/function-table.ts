import { lastAtOrBelow } from './sorted-search.ts';

const UNW_FLAG_CHAININFO = 4;
const RUNTIME_FUNCTION_SIZE_BYTES = 12;
const CHAIN_LENGTH_MAX = 32;

/** One part of a function: from `begin` up to `end`, with its unwind data at `unwind`; all are RVAs. */
interface Part {
  readonly begin: number;
  readonly end: number;
  readonly unwind: number;
}

/**
 * The functions of an image by its unwind data (the exception directory), in which each part of each function that
 * calls another has an entry, sorted by address.
 *
 * https://learn.microsoft.com/cpp/build/exception-handling-x64#struct-runtime_function
 */
export class FunctionTable {
  readonly #entries: Buffer;
  readonly #readAt: (rva: number, sizeBytes: number) => Buffer | undefined;

  /** @param readAt reads unwind data of the image; `undefined` where there is none */
  constructor(entries: Buffer, readAt: (rva: number, sizeBytes: number) => Buffer | undefined) {
    this.#entries = entries;
    this.#readAt = readAt;
  }

  /**
   * The function that holds an address: `begin` is where its first part begins, however many parts it is in.
   * `undefined` for code without unwind data.
   *
   * https://learn.microsoft.com/cpp/build/exception-handling-x64#chained-unwind-info-structures
   */
  functionAt(rva: number): { readonly begin: number } | undefined {
    const part = this.atOrBelow(rva);
    if (part === undefined || rva >= part.end) return undefined;
    let { begin, unwind } = part;
    for (let length = 0; length < CHAIN_LENGTH_MAX; length++) {
      let next: Buffer | undefined;
      if ((unwind & 1) !== 0) {
        next = this.#readAt(unwind - 1, RUNTIME_FUNCTION_SIZE_BYTES); // RUNTIME_FUNCTION_INDIRECT
      } else {
        const info = this.#readAt(unwind, 4); // UBYTE Version:3, Flags:5 · SizeOfProlog · CountOfCodes · frame
        if (info === undefined || ((info[0]! >> 3) & UNW_FLAG_CHAININFO) === 0) break;
        // The codes are padded to an even number; the entry that this one continues follows them.
        next = this.#readAt(unwind + 4 + ((info[2]! + 1) & ~1) * 2, RUNTIME_FUNCTION_SIZE_BYTES);
      }
      if (next === undefined) break;
      begin = next.readUInt32LE(0);
      unwind = next.readUInt32LE(8);
    }
    return { begin };
  }

  /** The last part that begins at or below an address. */
  atOrBelow(rva: number): Part | undefined {
    const table = this.#entries;
    const count = Math.floor(table.length / RUNTIME_FUNCTION_SIZE_BYTES);
    const index = lastAtOrBelow(count, (i) => table.readUInt32LE(i * RUNTIME_FUNCTION_SIZE_BYTES), rva);
    if (index < 0) return undefined;
    const at = index * RUNTIME_FUNCTION_SIZE_BYTES; // RUNTIME_FUNCTION: +0 BeginAddress, +4 EndAddress, +8 UnwindData
    return { begin: table.readUInt32LE(at), end: table.readUInt32LE(at + 4), unwind: table.readUInt32LE(at + 8) };
  }
}
