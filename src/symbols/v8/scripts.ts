import type { MemoryBudget } from '../memory-budget.ts';
import { lastAtOrBelow } from '../sorted-search.ts';
import { type LogFile, type LogLine, unescapeText } from './log-file.ts';

/** A line and a column, both from 1. */
export interface LineAndColumn {
  readonly line: number;
  readonly column: number;
}

/** A character of a text takes so much at most. */
const CHARACTER_SIZE_BYTES = 2;

/** A script of the log. Its source is read when a position in it is asked for. */
export class Script {
  readonly url: string;
  readonly #file: LogFile;
  readonly #budget: MemoryBudget;
  readonly #offset: number;
  readonly #sizeBytes: number;
  #source: string | undefined;
  #lineStarts: Uint32Array | undefined;

  /** @param line has no fields beyond the URL: the source follows */
  constructor(file: LogFile, { fields, offset, sizeBytes }: LogLine, budget: MemoryBudget) {
    const headSizeBytes = fields.join(',').length + 1;
    this.#file = file;
    this.#budget = budget;
    this.#offset = offset + headSizeBytes;
    this.#sizeBytes = Math.max(0, sizeBytes - headSizeBytes);
    this.url = unescapeText(fields[2] ?? '');
  }

  /** Empty where it cannot be read, or no memory is left for it. */
  get source(): string {
    return (this.#source ??= this.#readSource());
  }

  #readSource(): string {
    if (!this.#budget.take(CHARACTER_SIZE_BYTES * this.#sizeBytes)) return '';
    return unescapeText(this.#file.read(this.#offset, this.#sizeBytes)?.toString('latin1') ?? '');
  }

  /** @param position characters from the script's beginning */
  placeOf(position: number): LineAndColumn | undefined {
    if (position > this.source.length) return undefined;
    const starts = (this.#lineStarts ??= this.#findLines());
    const line = lastAtOrBelow(starts.length, (index) => starts[index]!, position);
    return line < 0 ? undefined : { line: line + 1, column: position - starts[line]! + 1 };
  }

  /** Where the lines begin; nothing where no memory is left for that. */
  #findLines(): Uint32Array {
    let count = 1;
    for (const _ of lineEnds(this.source)) count += 1;
    if (!this.#budget.take(count * Uint32Array.BYTES_PER_ELEMENT)) return new Uint32Array();
    const starts = new Uint32Array(count);
    let line = 0;
    for (const end of lineEnds(this.source)) starts[(line += 1)] = end + 1;
    return starts;
  }
}

function* lineEnds(source: string): Generator<number> {
  for (let end = source.indexOf('\n'); end !== -1; end = source.indexOf('\n', end + 1)) yield end;
}
