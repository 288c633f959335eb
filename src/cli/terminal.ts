import { closeSync, openSync, writeSync } from 'node:fs';

import { type Host, readHost, type Terminal } from '../wine/host.ts';

/** An output stream by its file descriptor, because the standard streams of Node.js cannot be used under Wine. */
export type OutputStream = 1 | 2;

/** The properties of the place that text goes to. */
export interface OutputDescription {
  /** 0 no colour, 1 sixteen, 2 256, 3 true colour: chalk's levels. */
  readonly colorLevel: 0 | 1 | 2 | 3;
  readonly columns: number;
  readonly isTerminal: boolean;
}

const DEFAULT_COLUMNS = 100;

/** Describes where a stream goes, as NO_COLOR, FORCE_COLOR and TERM have it. */
export function describeOutput(stream: OutputStream): OutputDescription {
  const terminal = terminalOf(stream);
  const columns = terminal?.columns ?? (Number(process.env['COLUMNS']) || DEFAULT_COLUMNS);
  const depth = terminal?.colorDepth ?? forcedColorDepth();
  return { colorLevel: colorLevel(depth), columns, isTerminal: terminal !== undefined };
}

/**
 * Writes a whole text, or bytes of UTF-8. A reader or a terminal that has gone is not an error.
 *
 * @returns whether the stream is still read
 */
export function write(stream: OutputStream, text: string | Uint8Array): boolean {
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
    ? { columns: output.columns, colorDepth: output.hasColors() ? output.getColorDepth() : 1 }
    : undefined;
}

function forcedColorDepth(): number {
  const forced = process.env['FORCE_COLOR'];
  if (forced === undefined || process.env['NO_COLOR']) return 1;
  return { '0': 1, false: 1, '2': 8, '3': 24 }[forced] ?? 4;
}

function colorLevel(depth: number): 0 | 1 | 2 | 3 {
  return depth >= 24 ? 3 : depth >= 8 ? 2 : depth >= 4 ? 1 : 0;
}
