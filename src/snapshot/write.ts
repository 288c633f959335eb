import { closeSync, fsyncSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';

import { SnapshotError } from './errors.ts';

const BUFFER_LENGTH = 1 << 20;

/**
 * Writes a snapshot to a file, whole or not at all. The text goes to a neighbour, which then takes the file's place, so
 * that a full disk or an interruption leaves the old file as it was. A device or a pipe is written to directly.
 *
 * @param file as the user gave it, for messages
 * @param path of the file, as Windows takes it
 * @throws SnapshotError when the file cannot be written, and every error of `pieces`
 */
export async function writeSnapshotFile(file: string, path: string, pieces: AsyncIterable<string>): Promise<void> {
  const isDirect = isDevice(path);
  const unfinished = isDirect ? path : `${path}.${process.pid}.unfinished`;
  try {
    const descriptor = openSync(unfinished, isDirect ? 'a' : 'wx');
    try {
      let buffered = '';
      for await (const piece of pieces) {
        buffered += piece;
        if (buffered.length < BUFFER_LENGTH) continue;
        writeWhole(descriptor, buffered);
        buffered = '';
      }
      writeWhole(descriptor, buffered);
      if (!isDirect) fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    if (!isDirect) renameSync(unfinished, path);
  } catch (error) {
    if (!isDirect) rmSync(unfinished, { force: true });
    const { code, syscall } = error as NodeJS.ErrnoException;
    if (typeof code !== 'string' || syscall === undefined) throw error;
    throw new SnapshotError('write snapshot', file, reasons[code] ?? `the system refuses (${code})`, 'another file');
  }
}

const reasons: Readonly<Record<string, string>> = {
  ENOSPC: 'the disk is full (ENOSPC)',
  EACCES: 'access is denied (EACCES)',
  EPERM: 'access is denied (EPERM)',
  EISDIR: 'it is a directory (EISDIR)',
  ENOENT: 'there is no such directory (ENOENT)',
};

function isDevice(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false });
  return found !== undefined && !found.isFile() && !found.isDirectory();
}

function writeWhole(descriptor: number, text: string): void {
  for (let rest = Buffer.from(text); rest.length > 0; ) rest = rest.subarray(writeSync(descriptor, rest));
}
