import { LINE_SIZE_BYTES_MAX } from './section-line.ts';

/** Takes a stream of bytes apart into lines, of which it keeps the first {@link LINE_SIZE_BYTES_MAX} bytes. */
export class LineReader {
  readonly #onLine: (text: string) => void;
  #rest: Buffer | undefined;

  constructor(onLine: (text: string) => void) {
    this.#onLine = onLine;
  }

  /** Whether a line has begun that has no end yet. */
  get hasRest(): boolean {
    return this.#rest !== undefined;
  }

  take(bytes: Buffer): void {
    let begin = 0;
    for (let end = bytes.indexOf(0x0a); end >= 0; end = bytes.indexOf(0x0a, begin)) {
      this.#keep(bytes, begin, end);
      begin = end + 1;
      this.#emit();
    }
    if (begin < bytes.length) this.#keep(bytes, begin, bytes.length);
  }

  /** The stream has ended: a last line may have no end. */
  end(): void {
    if (this.#rest !== undefined) this.#emit();
  }

  #emit(): void {
    const text = this.#rest?.toString('utf8') ?? '';
    this.#rest = undefined;
    this.#onLine(text);
  }

  #keep(bytes: Buffer, begin: number, end: number): void {
    const room = LINE_SIZE_BYTES_MAX - (this.#rest?.length ?? 0);
    const part = bytes.subarray(begin, Math.min(end, begin + room));
    // A chunk is much larger than what is kept of it.
    this.#rest = this.#rest === undefined ? Buffer.from(part) : Buffer.concat([this.#rest, part]);
  }
}
