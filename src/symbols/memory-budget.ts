/**
 * The memory that the symbols of one audit may take. The debug information of the largest programs that are built with
 * it, such as compilers and browsers, fits in; a file that was made to fill the memory meets the limit.
 */
export const SYMBOL_MEMORY_SIZE_BYTES: number = 2 ** 30;

/**
 * The memory that is left for symbols.
 *
 * The readers of files take from it before they keep anything whose size or count the file decides. They leave out
 * whatever finds no room: a frame without a name does no harm.
 */
export class MemoryBudget {
  #leftBytes: number;

  constructor(sizeBytes: number = SYMBOL_MEMORY_SIZE_BYTES) {
    this.#leftBytes = sizeBytes;
  }

  get leftBytes(): number {
    return this.#leftBytes;
  }

  /** Takes a part of it; false, with nothing taken, when less than that is left. */
  take(sizeBytes: number): boolean {
    if (!(sizeBytes <= this.#leftBytes)) return false;
    this.#leftBytes -= sizeBytes;
    return true;
  }

  /**
   * Takes a part of it.
   *
   * @throws RangeError when less than that is left, as for damage: what was read before remains
   */
  spend(sizeBytes: number): void {
    if (!this.take(sizeBytes)) throw new RangeError('No memory is left for symbols');
  }

  /** Gives back what was taken. */
  giveBack(sizeBytes: number): void {
    this.#leftBytes += sizeBytes;
  }
}
