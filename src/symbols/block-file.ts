import { closeSync, fstatSync, readSync } from 'node:fs';

/** No table of any real file is longer; a damaged length must not ask for gigabytes. */
export const TABLE_SIZE_BYTES_MAX: number = 1 << 28;
const BLOCK_SIZE_BYTES = 0x1_0000;
const MUCH_SIZE_BYTES = 1 << 20;
/** 16 MiB of blocks. */
const BLOCK_COUNT = 256;

/**
 * A file of which many small parts are read, close to each other: what is asked of the system are whole blocks, which
 * are kept.
 */
export class BlockFile implements Disposable {
  readonly #descriptor: number;
  /** Whole ones, but for the file's last. */
  readonly #blocks = new Map<number, Buffer>();

  /** @param descriptor of a file that is open for reading; this object closes it */
  constructor(descriptor: number) {
    this.#descriptor = descriptor;
  }

  /** Bytes of the file, not to be written to; `undefined` where it ends before them, or cannot be read. */
  read(offset: number, sizeBytes: number): Buffer | undefined {
    if (!(offset >= 0 && sizeBytes >= 0 && sizeBytes <= TABLE_SIZE_BYTES_MAX)) return undefined;
    const index = Math.floor(offset / BLOCK_SIZE_BYTES);
    const begin = offset - index * BLOCK_SIZE_BYTES;
    const isInOne = begin + sizeBytes <= BLOCK_SIZE_BYTES;
    const found = isInOne ? this.#block(index)?.subarray(begin, begin + sizeBytes) : this.#readUpTo(offset, sizeBytes);
    return found?.length === sizeBytes ? found : undefined;
  }

  #block(index: number): Buffer | undefined {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const block = this.#readUpTo(index * BLOCK_SIZE_BYTES, BLOCK_SIZE_BYTES);
    if (block === undefined) return undefined;
    if (this.#blocks.size === BLOCK_COUNT) this.#blocks.clear();
    this.#blocks.set(index, block);
    return block;
  }

  /** Less than what is asked for where the file ends before. */
  #readUpTo(offset: number, sizeBytes: number): Buffer | undefined {
    try {
      // What is asked for may come from a damaged file: only for much is it worth the question whether there is so
      // much.
      if (sizeBytes > MUCH_SIZE_BYTES && offset + sizeBytes > fstatSync(this.#descriptor).size) return undefined;
      const bytes = Buffer.allocUnsafe(sizeBytes);
      return bytes.subarray(0, readSync(this.#descriptor, bytes, 0, sizeBytes, offset));
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
