import { closeSync, openSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';

import type { KnownFinding } from '../../baseline/entries.ts';
import { baselineSizeMax, parseBaseline, printBaseline } from '../../baseline/file.ts';
import { UserError } from '../../user-error.ts';
import { explainFileFailure } from './file-failure.ts';
import { showPath } from './shown-path.ts';

/** A baseline cannot be read or written. */
class BaselineFileError extends UserError {
  constructor(work: 'read' | 'write', shown: string, why: string, advice: string) {
    super(`Cannot ${work} baseline "${shown}": ${why}. Try ${advice}.`);
  }
}

/** A baseline on disk. */
export class BaselineFile {
  /** Its path as a person knows it. */
  readonly shown: string;
  /** In the order of the file. */
  readonly entries: readonly KnownFinding[];
  readonly #path: string;
  readonly #text: string | undefined;

  private constructor(path: string, text: string | undefined) {
    this.#path = path;
    this.#text = text;
    this.shown = showPath(path);
    this.entries = text === undefined ? [] : parseBaseline(text, this.shown);
  }

  /**
   * Reads a baseline.
   *
   * @param path a path for Windows
   * @throws BaselineFileError when it cannot be read
   * @throws BaselineError when it is none
   */
  static read(path: string): BaselineFile {
    return new BaselineFile(path, readText(path));
  }

  /**
   * Reads a baseline that is to be written, if it is there, and checks that it can be. Leaves nothing behind.
   *
   * @throws BaselineFileError when it cannot be read or written
   * @throws BaselineError when it is none
   */
  static readToUpdate(path: string): BaselineFile {
    const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
    const file = new BaselineFile(path, isThere ? readText(path) : undefined);
    file.#attempt(() => closeSync(openSync(file.#unfinished, 'w')));
    rmSync(file.#unfinished, { force: true });
    return file;
  }

  /**
   * Writes entries: the whole file or none of it. A file that has them already stays as it is.
   *
   * @throws BaselineFileError when it cannot be written; it stays as it was
   */
  write(entries: readonly KnownFinding[]): void {
    const text = printBaseline(entries);
    if (text === this.#text?.replaceAll('\r\n', '\n')) return;
    this.#attempt(() => {
      writeFileSync(this.#unfinished, text);
      renameSync(this.#unfinished, this.#path);
    });
  }

  /** A neighbour, which takes the place of the file when it is whole. */
  get #unfinished(): string {
    return `${this.#path}.${process.pid}.unfinished`;
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      rmSync(this.#unfinished, { force: true });
      const { why, advice } = explainFileFailure(error);
      throw new BaselineFileError('write', this.shown, why, advice);
    }
  }
}

function readText(path: string): string {
  try {
    const stat = statSync(path);
    // A pipe, as of a shell's <(git show …), has no size.
    if (stat.size > baselineSizeMax) {
      const most = `${baselineSizeMax / 2 ** 20} MiB`;
      throw new BaselineFileError('read', showPath(path), `it is larger than ${most}`, 'suppressions');
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT')
      throw new BaselineFileError(
        'read',
        showPath(path),
        'there is no such file (ENOENT)',
        '--update-baseline to write it',
      );
    const { why, advice } = explainFileFailure(error);
    throw new BaselineFileError('read', showPath(path), why, advice);
  }
}
