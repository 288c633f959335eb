import { win32 } from 'node:path';

import { isWine } from '../ffi/ntdll.ts';
import { toWindowsSymbolPath } from '../wine/paths.ts';
import type { SourceLine } from './dwarf/lines.ts';

/** A line whose file is spelled as Windows does. */
export function spellLine(line: SourceLine | undefined): SourceLine | undefined {
  return line && { file: toWindowsPath(line.file), line: line.line };
}

/**
 * A compiler's path as Windows spells it. A program that was built on the machine that Wine runs on names its sources
 * as that machine does; Wine shows its root as drive Z:.
 */
export function toWindowsPath(path: string): string {
  if (isWine && path.startsWith('/')) return win32.normalize(`Z:${path}`);
  return /^[a-z]:[\\/]/i.test(path) ? win32.normalize(path) : path;
}

/** `_NT_SYMBOL_PATH`. On Linux a user may name directories of Linux in it. */
export function environmentSearchPath(): string {
  const path = process.env['_NT_SYMBOL_PATH'] ?? '';
  return isWine ? toWindowsSymbolPath(path) : path;
}
