import { closeSync, fstatSync, readSync } from 'node:fs';

import { openTargetFile } from '../process/target-file.ts';

/** Generated sources have some megabytes. */
const FILE_SIZE_BYTES_MAX = 16 << 20;
/** The limit for all files of one report together, because debug information can name any number. */
const TOTAL_SIZE_BYTES_MAX = 256 << 20;

/** The source files that the frames of a report name, each read once. */
export class SourceLines {
  readonly #userPaths: readonly string[];
  readonly #files = new Map<string, readonly string[] | undefined>();
  #leftSizeBytes = TOTAL_SIZE_BYTES_MAX;

  /** @param userPaths paths that the user gave; see {@link openTargetFile} */
  constructor(userPaths: readonly string[]) {
    this.#userPaths = userPaths;
  }

  /**
   * The lines of a file, without their ends.
   *
   * @param path as debug information has it, relative to the working directory
   * @returns `undefined` where there is no such file here, because the program was built elsewhere; where it is too
   *   large; or where it may not be opened
   */
  read(path: string): readonly string[] | undefined {
    if (!this.#files.has(path)) this.#files.set(path, this.#readFile(path));
    return this.#files.get(path);
  }

  #readFile(path: string): readonly string[] | undefined {
    const sizeBytesMax = Math.min(FILE_SIZE_BYTES_MAX, this.#leftSizeBytes);
    const file = openTargetFile(path, { sizeBytesMax, userPaths: this.#userPaths });
    if (file === undefined) return undefined;
    try {
      // If the file grows, it is read up to the size that it had when it was opened.
      const bytes = Buffer.alloc(Math.min(fstatSync(file).size, sizeBytesMax));
      const readSizeBytes = readSync(file, bytes, 0, bytes.length, 0);
      this.#leftSizeBytes -= readSizeBytes;
      return decodeSource(bytes.subarray(0, readSizeBytes)).split(/\r?\n/);
    } catch {
      return undefined; // Another program has locked a part of it.
    } finally {
      closeSync(file);
    }
  }
}

/** The text of a source file: UTF-16 where it begins with that byte order mark, as compilers take it; else UTF-8. */
export function decodeSource(bytes: Buffer): string {
  if (bytes.length >= 2 && bytes[0] === 0xff && bytes[1] === 0xfe) return bytes.toString('utf16le', 2);
  if (bytes.length >= 2 && bytes[0] === 0xfe && bytes[1] === 0xff) {
    return Buffer.from(bytes.subarray(2, bytes.length & ~1))
      .swap16()
      .toString('utf16le');
  }
  const hasMark = bytes.length >= 3 && bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return bytes.toString('utf8', hasMark ? 3 : 0);
}
