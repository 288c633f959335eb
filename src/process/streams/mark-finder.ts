/** Finds a mark among bytes that come in pieces. */
export class MarkFinder {
  readonly #mark: Buffer;
  /** Bytes that may be the beginning of the mark. */
  #held = Buffer.alloc(0);

  constructor(mark: Buffer) {
    this.#mark = mark;
  }

  /**
   * @param piece the next bytes
   * @param isExpected the mark may be among them; otherwise none of them is held back
   * @returns the bytes to give on, without the mark, and whether it was there
   */
  take(piece: Uint8Array, isExpected: boolean): { readonly bytes: Buffer; readonly isFound: boolean } {
    const text = Buffer.concat([this.#held, piece]);
    const at = isExpected ? text.indexOf(this.#mark) : -1;
    const isFound = at >= 0;
    if (isFound) {
      this.#held = Buffer.alloc(0);
      return { bytes: Buffer.concat([text.subarray(0, at), text.subarray(at + this.#mark.length)]), isFound };
    }
    const end = isExpected ? Math.max(text.length - this.#mark.length + 1, 0) : text.length;
    this.#held = text.subarray(end);
    return { bytes: text.subarray(0, end), isFound };
  }
}
