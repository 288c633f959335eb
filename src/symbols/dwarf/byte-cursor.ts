/** Ten bytes hold 64 bits. */
const LEB_FACTOR_MAX = 128 ** 10;
/** No name in any real file is longer. A text without an end must not become one of megabytes. */
const TEXT_SIZE_BYTES_MAX = 4096;

/**
 * Reads forward through a part of a buffer.
 *
 * @throws RangeError from every method that would read beyond the end
 */
export class ByteCursor {
  readonly start: number;
  at: number;
  readonly #bytes: Buffer;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number = bytes.length) {
    if (!(start >= 0 && start <= bytes.length && end <= bytes.length)) throw new RangeError('A section ends early');
    this.#bytes = bytes;
    this.start = start;
    this.at = start;
    this.#end = end;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#end;
  }

  get remaining(): number {
    return Math.max(0, this.#end - this.at);
  }

  skip(sizeBytes: number): void {
    if (!(this.at + sizeBytes <= this.#end)) throw new RangeError('A section ends early');
    this.at += sizeBytes;
  }

  u8(): number {
    this.skip(1);
    return this.#bytes[this.at - 1]!;
  }

  i8(): number {
    return (this.u8() << 24) >> 24;
  }

  u16(): number {
    this.skip(2);
    return this.#bytes.readUInt16LE(this.at - 2);
  }

  u32(): number {
    this.skip(4);
    return this.#bytes.readUInt32LE(this.at - 4);
  }

  /** Exact up to 2^53, which no address or length of a real file exceeds. */
  u64(): number {
    this.skip(8);
    return this.#bytes.readUInt32LE(this.at - 8) + this.#bytes.readUInt32LE(this.at - 4) * 2 ** 32;
  }

  /** An offset into a section, in a DWARF unit of either width. */
  offset(isWide: boolean): number {
    return isWide ? this.u64() : this.u32();
  }

  /** A DWARF unit's length, and where it ends. `isWide`: its offsets have 64 bits. */
  readLength(): { isWide: boolean; end: number } {
    const short = this.u32();
    const isWide = short === 0xffff_ffff;
    const sizeBytes = isWide ? this.u64() : short;
    return { isWide, end: this.at + sizeBytes };
  }

  uleb(): number {
    let value = 0;
    for (let factor = 1; factor < LEB_FACTOR_MAX; factor *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
    }
    throw new RangeError('A number is too long');
  }

  sleb(): number {
    let value = 0;
    for (let factor = 1; factor < LEB_FACTOR_MAX; factor *= 128) {
      const byte = this.u8();
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return (byte & 0x40) !== 0 ? value - factor * 128 : value;
    }
    throw new RangeError('A number is too long');
  }

  /** A text up to its NUL, which must come within 4 KiB. */
  text(): string {
    const start = this.at;
    this.#skipTextWithin(TEXT_SIZE_BYTES_MAX + 1);
    return this.#bytes.toString('utf8', start, this.at - 1);
  }

  skipText(): void {
    this.#skipTextWithin(this.remaining);
  }

  /** Looks no further: otherwise each of many texts without an end would cost a search of the whole section. */
  #skipTextWithin(sizeBytes: number): void {
    const length = this.#bytes.subarray(this.at, Math.min(this.at + sizeBytes, this.#end)).indexOf(0);
    if (length < 0) throw new RangeError('A text has no end');
    this.at += length + 1;
  }
}

/** The text at an offset, up to its NUL, which must come within 4 KiB; `undefined` where there is none. */
export function textAt(bytes: Buffer, offset: number): string | undefined {
  if (!(offset >= 0 && offset < bytes.length)) return undefined;
  const text = bytes.subarray(offset, offset + TEXT_SIZE_BYTES_MAX + 1);
  const length = text.indexOf(0);
  return length < 0 ? undefined : text.toString('utf8', 0, length);
}

/**
 * After so many damaged parts of a section, the rest is not read: each costs an exception, and a hostile file may have
 * millions.
 */
export const DAMAGED_PARTS_MAX = 4096;

/**
 * Reads up to the end or up to damage, where {@link ByteCursor} throws a RangeError.
 *
 * @returns whether there was no damage
 */
export function ignoreDamage(read: () => void): boolean {
  try {
    read();
    return true;
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return false;
  }
}

/** Reads the parts of a section one by one; a damaged part ends the reading of that part alone. */
export function readParts<Part>(parts: Iterable<Part>, read: (part: Part) => void): void {
  let damagedCount = 0;
  for (const part of parts) {
    if (!ignoreDamage(() => read(part)) && ++damagedCount > DAMAGED_PARTS_MAX) return;
  }
}
