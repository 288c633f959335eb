/** The name is damaged, or uses a rare part of the grammar. */
export class NotUnderstood extends Error {}

/** Deeper nesting than any compiler writes: each level takes a part of this process's own stack. */
const DEPTH_MAX = 200;
/** Substitutions can double a name with every few letters: more text than this, over all parts, is an attack. */
const WORK_MAX = 200_000;

/**
 * Reads forward through a decorated name of the Itanium ABI, and bounds the work that is done for it.
 *
 * @throws NotUnderstood from every method that finds something else than it was asked for
 */
export class DecoratedName {
  readonly #text: string;
  at: number;
  #depth = 0;
  #work = 0;

  constructor(text: string, start: number) {
    this.#text = text;
    this.at = start;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#text.length;
  }

  /** The next letters, fewer at the end; they stay unread. */
  next(count = 1): string {
    return this.#text.slice(this.at, this.at + count);
  }

  peek(text: string): boolean {
    return this.#text.startsWith(text, this.at);
  }

  take(text: string): boolean {
    const isThere = this.peek(text);
    if (isThere) this.at += text.length;
    return isThere;
  }

  expect(text: string): void {
    if (!this.take(text)) throw new NotUnderstood();
  }

  /** @param pattern begins with `^` */
  takeMatch(pattern: RegExp): string | undefined {
    const found = pattern.exec(this.#text.slice(this.at))?.[0];
    this.at += found?.length ?? 0;
    return found;
  }

  /** The letters from an earlier place up to here. */
  readSince(start: number): string {
    return this.#text.slice(start, this.at);
  }

  /** A name with its length before it. */
  readSource(): string {
    const length = this.readNumber();
    const text = this.next(length);
    if (length === 0 || text.length !== length) throw new NotUnderstood();
    this.at += length;
    return text.startsWith('_GLOBAL_') && /^_GLOBAL_[._$]N/.test(text) ? '(anonymous namespace)' : text;
  }

  readNumber(): number {
    const digits = this.takeMatch(/^\d{1,6}/);
    if (digits === undefined) throw new NotUnderstood();
    return Number(digits);
  }

  /** An index of a list: `_` is 0, `0_` is 1. */
  readIndex(radix: 10 | 36): number {
    if (this.take('_')) return 0;
    const digits = this.takeMatch(/^[0-9A-Z]{1,6}(?=_)/);
    if (digits === undefined) throw new NotUnderstood();
    this.at++;
    return Number.parseInt(digits, radix) + 1;
  }

  /** The number of an unnamed thing: `_` is 1, `0_` is 2. */
  readSequence(): number {
    if (this.take('_')) return 1;
    const number = this.readNumber();
    this.expect('_');
    return number + 2;
  }

  readDiscriminator(): void {
    this.takeMatch(/^_(?:\d|_\d+_)/);
  }

  /** Counts a level of recursion. */
  nested<Result>(read: () => Result): Result {
    if (++this.#depth > DEPTH_MAX) throw new NotUnderstood();
    const result = read();
    this.#depth--;
    return result;
  }

  /** Counts text that was put together. */
  grow(text: string): string {
    this.#work += text.length;
    if (this.#work > WORK_MAX) throw new NotUnderstood();
    return text;
  }
}
