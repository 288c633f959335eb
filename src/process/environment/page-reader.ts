import type { AsHandle } from '../../io/handle.ts';
import { tryReadMemory } from '../memory.ts';

const PAGE_SIZE_BYTES = 0x1000;
/** So many pages are read together, where all of them can be. */
const PAGES_AT_ONCE = 4;
/** Longer parts are read by themselves. */
const PART_SIZE_BYTES_MAX = PAGE_SIZE_BYTES * PAGES_AT_ONCE;

/**
 * Reads parts of a process's memory that lie close to each other with few calls, each of which takes up to a
 * millisecond: it reads whole pages, each once. So it shows a part as it was when its page was first asked for, and
 * what runs meanwhile may have changed it since.
 */
export class PageReader {
  readonly #read: (address: bigint, sizeBytes: number) => Buffer | undefined;
  /** By their numbers; `undefined` where there is nothing to read. */
  readonly #pages = new Map<bigint, Buffer | undefined>();

  /** @param read a part of the memory; `undefined` where any of it cannot be read */
  constructor(read: (address: bigint, sizeBytes: number) => Buffer | undefined) {
    this.#read = read;
  }

  /** @param process opened with PROCESS_VM_READ */
  static of(process: AsHandle): PageReader {
    return new PageReader((address, sizeBytes) => tryReadMemory(process, address, sizeBytes));
  }

  /** A copy of a part of the memory; `undefined` where any of it cannot be read. The address may be any number. */
  read(address: bigint, sizeBytes: number): Buffer | undefined {
    if (sizeBytes > PART_SIZE_BYTES_MAX) return this.#read(address, sizeBytes);
    const first = BigInt.asUintN(64, address) / BigInt(PAGE_SIZE_BYTES);
    const begin = Number(BigInt.asUintN(64, address) % BigInt(PAGE_SIZE_BYTES));
    const pages: Buffer[] = [];
    for (let at = 0; at < begin + sizeBytes; at += PAGE_SIZE_BYTES) {
      const page = this.#page(first + BigInt(at / PAGE_SIZE_BYTES));
      if (page === undefined) return undefined;
      pages.push(page);
    }
    const whole = pages.length === 1 ? pages[0]! : Buffer.concat(pages);
    return whole.subarray(begin, begin + sizeBytes);
  }

  readPointer(address: bigint): bigint | undefined {
    return this.read(address, 8)?.readBigUInt64LE(0);
  }

  /** The text of a UNICODE_STRING at `offset` of `record`: +0 USHORT Length in bytes, +8 PWSTR Buffer. */
  readText(record: Buffer, offset: number): string | undefined {
    const sizeBytes = record.readUInt16LE(offset) & ~1;
    if (sizeBytes === 0) return '';
    return this.read(record.readBigUInt64LE(offset + 8), sizeBytes)?.toString('utf16le');
  }

  #page(number: bigint): Buffer | undefined {
    if (this.#pages.has(number)) return this.#pages.get(number);
    const group = number - (number % BigInt(PAGES_AT_ONCE));
    const together = this.#readPages(group, PAGES_AT_ONCE);
    if (together === undefined) {
      const page = this.#readPages(number, 1);
      this.#pages.set(number, page);
      return page;
    }
    for (let index = 0; index < PAGES_AT_ONCE; index++) {
      const each = group + BigInt(index);
      const page = together.subarray(index * PAGE_SIZE_BYTES, (index + 1) * PAGE_SIZE_BYTES);
      // A page that was read before stays as it was.
      if (!this.#pages.has(each)) this.#pages.set(each, page);
    }
    return this.#pages.get(number);
  }

  #readPages(number: bigint, count: number): Buffer | undefined {
    return this.#read(number * BigInt(PAGE_SIZE_BYTES), count * PAGE_SIZE_BYTES);
  }
}
