import { readFileSync } from 'node:fs';

import { GetModuleFileNameW } from '../../ffi/kernel32.ts';
import { bytesOfImageFile } from '../patch/image-file.ts';
import { identityOffsets } from '../linkage/patch-table.ts';

const PATH_LENGTH_MAX = 0x8000;

/** A DLL of this process as its file has it. The file is read when it is first needed: mostly it is not. */
export class PristineModule {
  readonly #base: bigint;
  readonly #identity: readonly number[];
  #file: Buffer | undefined;

  /** @param identity the values of its headers at the {@link identityOffsets} */
  constructor(base: bigint, identity: readonly number[]) {
    this.#base = base;
    this.#identity = identity;
  }

  /** The code at an address; undefined where the file cannot be read, or has become another one. */
  read(address: bigint, sizeBytes: number): Uint8Array | undefined {
    this.#file ??= readModuleFile(this.#base);
    const identity = identityOffsets.map((offset, index) => ({ offset, value: this.#identity[index]! }));
    return bytesOfImageFile(this.#file, Number(address - this.#base), sizeBytes, identity);
  }
}

/** The file of a module; empty where it cannot be read. */
function readModuleFile(base: bigint): Buffer {
  const path = new Uint16Array(PATH_LENGTH_MAX);
  const length = GetModuleFileNameW(base, path, path.length);
  try {
    return readFileSync(Buffer.from(path.buffer, 0, length * 2).toString('utf16le'));
  } catch {
    return Buffer.alloc(0); // an image on a share that is gone, or one that this account may not read
  }
}
