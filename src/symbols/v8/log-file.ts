import type { LogBytes } from './log-bytes.ts';

/** The log of a day's work of a bundler has some hundred megabytes. */
const LOG_SIZE_BYTES_MAX = 2 ** 32;
const CHUNK_SIZE_BYTES = 1 << 20;
/** A line has the whole source of a script at most. */
const LINE_SIZE_BYTES_MAX = 64 << 20;

/** No line that is read has more fields that matter. */
const FIELDS_MAX = 9;

const NEW_LINE = 0x0a;

/** A line of the log: its fields, and where it stands. */
export interface LogLine {
  readonly fields: readonly string[];
  readonly offset: number;
  readonly sizeBytes: number;
}

/**
 * A log that V8 writes with `--log-code`: lines of fields between commas. V8 writes each line whole, and escapes commas
 * in names, line ends, and all that is not ASCII. The file is of the target, which may have written anything into it.
 *
 * https://v8.dev/docs/log-code (the flags), src/logging/log.cc of V8 (the lines)
 */
export class LogFile implements Disposable {
  readonly #bytes: LogBytes;
  readonly sizeBytes: number;

  /** @param bytes go with it */
  constructor(bytes: LogBytes) {
    this.#bytes = bytes;
    this.sizeBytes = Math.min(bytes.sizeBytes, LOG_SIZE_BYTES_MAX);
  }

  /**
   * The lines that begin with one of these words, as far as the file goes by now. A line without its end, or one that
   * is too long, is left out.
   *
   * @param withoutText lines that begin with these have only their first three fields: a source is long
   */
  *lines(words: ReadonlySet<string>, withoutText: ReadonlySet<string>): Generator<LogLine> {
    let rest: Buffer = Buffer.alloc(0);
    let restOffset = 0;
    for (let offset = 0; offset < this.sizeBytes; ) {
      const chunk = this.read(offset, Math.min(CHUNK_SIZE_BYTES, this.sizeBytes - offset));
      if (chunk === undefined || chunk.length === 0) return;
      offset += chunk.length;
      const buffer = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
      let begin = 0;
      for (let end = buffer.indexOf(NEW_LINE); end !== -1; end = buffer.indexOf(NEW_LINE, begin)) {
        const line = splitLine(buffer.subarray(begin, end), words, withoutText);
        if (line !== undefined) yield { fields: line, offset: restOffset + begin, sizeBytes: end - begin };
        begin = end + 1;
      }
      rest = buffer.subarray(begin);
      restOffset += begin;
      if (rest.length > LINE_SIZE_BYTES_MAX) return;
    }
  }

  /** The bytes of a part; `undefined` where the file cannot be read. */
  read(offset: number, sizeBytes: number): Buffer | undefined {
    return this.#bytes.read(offset, sizeBytes);
  }

  [Symbol.dispose](): void {
    this.#bytes[Symbol.dispose]();
  }
}

function splitLine(
  line: Buffer,
  words: ReadonlySet<string>,
  withoutText: ReadonlySet<string>,
): readonly string[] | undefined {
  const comma = line.indexOf(',');
  const word = line.toString('latin1', 0, comma === -1 ? line.length : comma);
  if (!words.has(word)) return undefined;
  if (!withoutText.has(word)) return line.toString('latin1').split(',', FIELDS_MAX);
  const second = line.indexOf(',', comma + 1);
  const third = second === -1 ? -1 : line.indexOf(',', second + 1);
  return third === -1 ? undefined : line.toString('latin1', 0, third).split(',');
}

const escapes: RegExp = /\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|(n)|(.))/gi;

/** A text as it was before V8 escaped it. */
export function unescapeText(text: string): string {
  if (!text.includes('\\')) return text;
  return text.replace(escapes, (_, byte?: string, unit?: string, isNewLine?: string, other?: string) => {
    if (isNewLine !== undefined) return '\n';
    return other ?? String.fromCharCode(Number.parseInt(byte ?? unit ?? '0', 16));
  });
}
