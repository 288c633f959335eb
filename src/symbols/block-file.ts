import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** No table of any real file is longer; a damaged length must not ask for gigabytes. */
export const TABLE_SIZE_BYTES_MAX: number = 1 << 28;
const BLOCK_SIZE_BYTES = 0x1_0000;
/** 16 MiB of blocks. */
const BLOCK_COUNT = 256;

/** A file of which many small parts are read, close to each other: what is asked of the system are whole blocks, which are kept. */
export class BlockFile implements Disposable {
  readonly #descriptor: number;
  readonly #sizeBytes: number;
  readonly #blocks = new Map<number, Buffer>();

  private constructor(descriptor: number) {
    this.#descriptor = descriptor;
    this.#sizeBytes = fstatSync(descriptor).size;
  }

  /** Opens a file; `undefined` when it cannot be. */
  static open(path: string): BlockFile | undefined {
    let descriptor: number | undefined;
    try {
      descriptor = openSync(path, 'r');
      return new BlockFile(descriptor);
    } catch {
      if (descriptor !== undefined) closeSync(descriptor);
      return undefined;
    }
  }

  /** Bytes of the file, not to be written to; `undefined` where it ends before them, or cannot be read. */
  read(offset: number, sizeBytes: number): Buffer | undefined {
    if (!(offset >= 0 && sizeBytes >= 0 && sizeBytes <= TABLE_SIZE_BYTES_MAX && offset + sizeBytes <= this.#sizeBytes)) return undefined;
    const index = Math.floor(offset / BLOCK_SIZE_BYTES);
    const begin = offset - index * BLOCK_SIZE_BYTES;
    if (begin + sizeBytes > BLOCK_SIZE_BYTES) return this.#readWhole(offset, sizeBytes);
    return this.#block(index)?.subarray(begin, begin + sizeBytes);
  }

  #block(index: number): Buffer | undefined {
    const known = this.#blocks.get(index);
    if (known !== undefined) return known;
    const offset = index * BLOCK_SIZE_BYTES;
    const block = this.#readWhole(offset, Math.min(BLOCK_SIZE_BYTES, this.#sizeBytes - offset));
    if (block === undefined) return undefined;
    if (this.#blocks.size === BLOCK_COUNT) this.#blocks.clear();
    this.#blocks.set(index, block);
    return block;
  }

  #readWhole(offset: number, sizeBytes: number): Buffer | undefined {
    try {
      const bytes = Buffer.allocUnsafe(sizeBytes);
      return readSync(this.#descriptor, bytes, 0, sizeBytes, offset) === sizeBytes ? bytes : undefined;
    } catch {
      return undefined;
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
