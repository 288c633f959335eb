import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** The bytes of a log that V8 writes, as many as it had when it was opened. */
export interface LogBytes extends Disposable {
  readonly sizeBytes: number;

  /** A copy of a part; `undefined` where it cannot be read. */
  read(offset: number, sizeBytes: number): Buffer | undefined;
}

/** A log that may be opened like any other file. */
export class FileBytes implements LogBytes {
  readonly sizeBytes: number;
  readonly #descriptor: number;

  /** @throws Error when the file cannot be opened; EBUSY where a process has it for itself alone */
  constructor(path: string) {
    this.#descriptor = openSync(path, 'r');
    const stats = fstatSync(this.#descriptor);
    this.sizeBytes = stats.isFile() ? stats.size : 0;
  }

  read(offset: number, sizeBytes: number): Buffer | undefined {
    const buffer = Buffer.allocUnsafe(sizeBytes);
    try {
      return buffer.subarray(0, readSync(this.#descriptor, buffer, 0, sizeBytes, offset));
    } catch {
      return undefined; // the disk fails: what was read before remains
    }
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor);
  }
}
