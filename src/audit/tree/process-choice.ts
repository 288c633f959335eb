import { win32 } from 'node:path';

/** The processes of a tree that the user wants, by the names of their programs. */
export class ProcessChoice {
  readonly #only: ReadonlySet<string> | undefined;
  readonly #skip: ReadonlySet<string>;
  readonly #found = new Set<string>();

  /**
   * @param only reports are of these programs; absent: of all
   * @param skip child processes of these programs are left alone
   */
  constructor(only: readonly string[] | undefined, skip: readonly string[] = []) {
    this.#only = only && new Set(only.map(nameOf));
    this.#skip = new Set(skip.map(nameOf));
  }

  /** Whether a process is in the report. One that is not is recorded all the same, so that its children are. */
  isReported(image: string): boolean {
    const name = nameOf(image);
    if (this.#only?.has(name) === false) return false;
    this.#found.add(name);
    return true;
  }

  /** Whether a child process, and its children with it, runs as without the tool. */
  isSkipped(image: string): boolean {
    return this.#skip.has(nameOf(image));
  }

  /** The programs that no process was of, though reports are of these only. */
  get missing(): readonly string[] {
    return [...(this.#only ?? [])].filter((name) => !this.#found.has(name));
  }
}

/** A program's name as it is compared: `.exe` may be left out, and case does not matter. */
function nameOf(image: string): string {
  const name = win32.basename(image).toLowerCase();
  return name.endsWith('.exe') ? name : `${name}.exe`;
}
