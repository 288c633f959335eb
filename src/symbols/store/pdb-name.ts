import { win32 } from 'node:path';

import { isPlainFileName } from '../../process/target-file.ts';
import type { PdbReference } from '../debug-files.ts';

/**
 * The bare name of a PDB, to look for in directories and stores. An executable file may name any path: of that path
 * only the last part is used, and only if it is an ordinary name.
 *
 * @returns `undefined` for `..`, a device, an alternate stream and the like
 */
export function pdbName({ path }: PdbReference): string | undefined {
  const name = win32.basename(path);
  return isPlainFileName(name) ? name : undefined;
}

/**
 * Where a store has a PDB, or something that stands for it, as parts of a path.
 *
 * @param isTwoTier whether the directories of the store are grouped by the first two letters: it has an `index2.txt`
 * @see https://learn.microsoft.com/windows-hardware/drivers/debugger/symstore
 */
export function storeParts(name: string, id: string, file: string, isTwoTier: boolean): readonly string[] {
  return [...(isTwoTier ? [name.slice(0, 2).toLowerCase()] : []), name, id, file];
}

/** A compressed file has an underscore for its last letter: `app.pd_`. */
export function compressedName(name: string): string {
  return `${name.slice(0, -1)}_`;
}

/** A file of this name says where the file itself is: `PATH:C:\symbols\app.pdb`. */
export const POINTER_NAME = 'file.ptr';

/** The path in a `file.ptr`; `undefined` where it has none. */
export function readPointer(text: string): string | undefined {
  return /^PATH:\s*([^\0\r\n]+?)\s*(?:[\0\r\n]|$)/i.exec(text)?.[1];
}
