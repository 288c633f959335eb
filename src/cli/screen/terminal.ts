import { closeSync, openSync, writeSync } from 'node:fs';

import { type Host, readHost, type Terminal } from '../../wine/host.ts';
import { chooseColorLevel, type ColorLevel } from './color-level.ts';

/** An output stream by its file descriptor, because the standard streams of Node.js cannot be used under Wine. */
export type OutputStream = 1 | 2;

/** The properties of the place that text goes to. */
export interface OutputDescription {
  readonly colorLevel: ColorLevel;
  readonly columns: number;
  readonly isTerminal: boolean;
  /** Whether text can be drawn over: on a terminal that obeys escape sequences. */
  readonly canRedraw: boolean;
}

const DEFAULT_COLUMNS = 100;

/** Describes where a stream goes, as NO_COLOR, FORCE_COLOR and TERM have it. */
export function describeOutput(stream: OutputStream): OutputDescription {
  const terminal = terminalOf(stream);
  const columns = terminal?.columns ?? (Number(process.env['COLUMNS']) || DEFAULT_COLUMNS);
  return {
    colorLevel: chooseColorLevel(process.env, terminal?.colorDepth),
    columns,
    isTerminal: terminal !== undefined,
    canRedraw: terminal !== undefined && process.env['TERM'] !== 'dumb',
  };
}

/** Whether the terminal shows a line that the next output replaces. */
let hasTransient = false;
/**
 * IND and CUU make room for a line below the cursor, by scrolling where there is none; DECSC notes where the cursor is.
 * The line begins below it: the program may have left its last line without an end.
 */
const BEGIN_LINE = '\x1bD\x1b[A\x1b7\r\n';
/** CR: to the start of the line; EL: erase from there to its end. */
const ERASE_LINE = '\r\x1b[K';
/** DECRC: back to where the cursor was before {@link BEGIN_LINE}. */
const LEAVE_LINE = '\x1b8';

/** Shows a line on stderr, a terminal, until the next output. It must not be wider than the terminal. */
export function writeTransient(line: string): void {
  const begin = hasTransient ? ERASE_LINE : BEGIN_LINE;
  hasTransient = false;
  write(2, `${begin}${line}`);
  hasTransient = true;
}

/** Erases the line of {@link writeTransient}, if it is there. The cursor is where it was before. */
export function eraseTransient(): void {
  if (!hasTransient) return;
  hasTransient = false;
  write(2, `${ERASE_LINE}${LEAVE_LINE}`);
}

/**
 * Writes a whole text, or bytes of UTF-8. A reader or a terminal that has gone is not an error.
 *
 * @returns whether the stream is still read
 */
export function write(stream: OutputStream, text: string | Uint8Array): boolean {
  eraseTransient();
  const path = terminalOf(stream)?.path;
  const bytes = typeof text === 'string' ? Buffer.from(text) : text;
  return path === undefined ? writeAll(stream, bytes) : writeToTerminal(path, bytes);
}

/** A terminal of Linux that was closed cannot be opened, or refuses what is written: the errors differ. */
function writeToTerminal(path: string, bytes: Uint8Array): boolean {
  try {
    const terminal = openSync(path, 'a');
    try {
      return writeAll(terminal, bytes);
    } finally {
      closeSync(terminal);
    }
  } catch {
    return false;
  }
}

/**
 * Writes all bytes to an open file, and returns whether the file is still read. A reader that has gone is not an error.
 */
export function writeAll(file: number, bytes: Uint8Array): boolean {
  for (let written = 0; written < bytes.length; ) {
    try {
      written += writeSync(file, bytes, written);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === 'EPIPE' || code === 'EOF') return false;
      if (code !== 'EAGAIN') throw error;
    }
  }
  return true;
}

function terminalOf(stream: OutputStream): Terminal | undefined {
  const host: Host | undefined = readHost(process.env);
  if (host !== undefined) return stream === 1 ? host.stdout : host.stderr;
  const output = stream === 1 ? process.stdout : process.stderr;
  return output.isTTY
    ? {
        columns: output.columns,
        colorDepth: output.getColorDepth({ ...process.env, NO_COLOR: undefined, FORCE_COLOR: undefined }),
      }
    : undefined;
}
