import { closeSync, openSync, readSync } from 'node:fs';

import { GetModuleFileNameW } from '../../../ffi/kernel32.ts';
import { placeInImageFile } from '../../patch/image-file.ts';
import { identityOffsets } from '../../linkage/patch-table.ts';

const PATH_LENGTH_MAX = 0x8000;
/** The headers of an image, with those of its sections. */
const HEAD_SIZE_BYTES = 0x1000;

/** A DLL or program as its file has it. The file is read when code is asked for: mostly it is not. */
export class PristineModule {
  readonly #base: bigint;
  readonly #identity: readonly number[];
  readonly #path: string | undefined;

  /**
   * @param identity the values of its headers at the {@link identityOffsets}
   * @param path of its file; absent for a DLL of this process
   */
  constructor(base: bigint, identity: readonly number[], path?: string) {
    this.#base = base;
    this.#identity = identity;
    this.#path = path;
  }

  /** The code at an address; undefined where the file cannot be read, or has become another one. */
  read(address: bigint, sizeBytes: number): Uint8Array | undefined {
    const identity = identityOffsets.map((offset, index) => ({ offset, value: this.#identity[index]! }));
    try {
      const file = openSync(this.#path ?? pathOf(this.#base), 'r');
      try {
        const head = readPart(file, 0, HEAD_SIZE_BYTES);
        const place = placeInImageFile(head, Number(address - this.#base), sizeBytes, identity);
        const code = place === undefined ? head.subarray(0, 0) : readPart(file, place, sizeBytes);
        return code.length === sizeBytes ? new Uint8Array(code) : undefined;
      } finally {
        closeSync(file);
      }
    } catch {
      return undefined; // an image on a share that is gone, or one that this account may not read
    }
  }
}

/** Part of a file; less where it ends before. */
function readPart(file: number, offset: number, sizeBytes: number): Buffer {
  const bytes = Buffer.alloc(sizeBytes);
  return bytes.subarray(0, readSync(file, bytes, 0, sizeBytes, offset));
}

/** The file of a module of this process. */
function pathOf(base: bigint): string {
  const path = new Uint16Array(PATH_LENGTH_MAX);
  const length = GetModuleFileNameW(base, path, path.length);
  return Buffer.from(path.buffer, 0, length * 2).toString('utf16le');
}
