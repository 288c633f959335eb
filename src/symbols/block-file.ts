import { closeSync, fstatSync, readSync } from 'node:fs';

import type { MemoryBudget } from './memory-budget.ts';

/** No table of any real file is longer. A damaged length must not ask for gigabytes. */
export const TABLE_SIZE_BYTES_MAX: number = 1 << 28;
const MUCH_SIZE_BYTES = 1 << 20;

/** How a file is kept in memory. */
interface BlockKeeping {
  readonly blockSizeBytes: number;
  /** When so many blocks are kept, all are forgotten. */
  readonly blockCount: number;
}

/** 16 MiB, for a file whose tables lie together. */
const togetherKeeping: BlockKeeping = { blockSizeBytes: 0x1_0000, blockCount: 256 };
/** 64 MiB, for one of a hundred megabytes whose parts lie anywhere. */
export const scatteredKeeping: BlockKeeping = { blockSizeBytes: 0x4000, blockCount: 4096 };

/**
 * A file for many small reads close to each other: it reads whole blocks from the system and keeps them.
 */
export class BlockFile implements Disposable {
  readonly #descriptor: number;
  /** By their number; all are whole except the file's last. */
  readonly #blocks = new Map<number, Buffer>();
  readonly #budget: MemoryBudget;
  readonly #blockSizeBytes: number;
  readonly #blockCount: number;

  /**
   * @param descriptor of a file that is open for reading; this object closes it
   * @param budget what may be read of the file in larger parts than a block
   */
  constructor(
    descriptor: number,
    budget: MemoryBudget,
    { blockSizeBytes, blockCount }: BlockKeeping = togetherKeeping,
  ) {
    this.#blockSizeBytes = blockSizeBytes;
    this.#blockCount = blockCount;
    this.#descriptor = descriptor;
    this.#budget = budget;
  }

  /** Bytes of the file; `undefined` where it ends before them, or cannot be read. The caller must not write to them. */
  read(offset: number, sizeBytes: number): Buffer | undefined {
    if (!(offset >= 0 && sizeBytes >= 0 && sizeBytes <= TABLE_SIZE_BYTES_MAX)) return undefined;
    const index = Math.floor(offset / this.#blockSizeBytes);
    const begin = offset - index * this.#blockSizeBytes;
    const isInOne = begin + sizeBytes <= this.#blockSizeBytes;
    const found = isInOne ? this.#block(index)?.subarray(begin, begin + sizeBytes) : this.#readUpTo(offset, sizeBytes);
    return found?.length === sizeBytes ? found : undefined;
  }

  #block(index: number): Buffer | undefined {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const block = this.#readUpTo(index * this.#blockSizeBytes, this.#blockSizeBytes);
    if (block === undefined) return undefined;
    if (this.#blocks.size === this.#blockCount) this.#forgetBlocks();
    if (this.#budget.take(this.#blockSizeBytes)) this.#blocks.set(index, block);
    return block;
  }

  #forgetBlocks(): void {
    this.#budget.giveBack(this.#blocks.size * this.#blockSizeBytes);
    this.#blocks.clear();
  }

  /** Returns fewer bytes where the file ends. */
  #readUpTo(offset: number, sizeBytes: number): Buffer | undefined {
    try {
      // The size may come from a damaged file. Only a large one is worth a call that asks how long the file is.
      if (sizeBytes > MUCH_SIZE_BYTES && offset + sizeBytes > fstatSync(this.#descriptor).size) return undefined;
      if (sizeBytes > this.#blockSizeBytes && !this.#budget.take(sizeBytes)) return undefined;
      const bytes = Buffer.allocUnsafe(sizeBytes);
      return bytes.subarray(0, readSync(this.#descriptor, bytes, 0, sizeBytes, offset));
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    this.#forgetBlocks();
    closeSync(this.#descriptor);
  }
}
