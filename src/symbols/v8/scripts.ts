import { lastAtOrBelow } from '../sorted-search.ts';
import { type LogFile, type LogLine, unescapeText } from './log-file.ts';

/** A line and a column, both from 1. */
export interface LineAndColumn {
  readonly line: number;
  readonly column: number;
}

/** A script of the log. Its source is read when a position in it is asked for. */
export class Script {
  readonly url: string;
  readonly #file: LogFile;
  readonly #place: LogLine;
  #source: string | undefined;
  #lineStarts: readonly number[] | undefined;

  constructor(file: LogFile, place: LogLine) {
    this.#file = file;
    this.#place = place;
    this.url = unescapeText(place.fields[2] ?? '');
  }

  get source(): string {
    if (this.#source !== undefined) return this.#source;
    const { fields, offset, sizeBytes } = this.#place;
    const line = this.#file.read(offset, sizeBytes)?.toString('latin1') ?? '';
    return (this.#source = unescapeText(line.slice(fields.join(',').length + 1)));
  }

  /** @param position characters from the script's beginning */
  placeOf(position: number): LineAndColumn | undefined {
    if (position > this.source.length) return undefined;
    const starts = (this.#lineStarts ??= lineStartsOf(this.source));
    const line = lastAtOrBelow(starts.length, (index) => starts[index]!, position);
    return { line: line + 1, column: position - starts[line]! + 1 };
  }
}

function lineStartsOf(source: string): readonly number[] {
  const starts = [0];
  for (let end = source.indexOf('\n'); end !== -1; end = source.indexOf('\n', end + 1)) starts.push(end + 1);
  return starts;
}
