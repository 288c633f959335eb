import type { Frame, ModuleWithoutNames } from '../model.ts';
import type { Module } from '../process/modules.ts';

/** Where an address lies. */
export type AddressKind =
  /** Just after a call: it belongs to the call, which ends one byte before, although the next statement begins here. */
  | 'return'
  /** An instruction that is about to run, or the beginning of a function. */
  | 'exact';

/** Where the code of Go lies in a module, relative to the module's base; `undefined` in one that is not of Go. */
type GoCode = { readonly begin: number; readonly sizeBytes: number } | undefined;

/** A target chooses its addresses: more of them than a program has are not kept. */
const ADDRESSES_MAX = 1 << 16;
const MODULES_MAX = 1 << 10;

/** The answers about one module, wherever it lies: addresses are relative to its base. Each is found out once. */
export class ModuleAnswers {
  /** The version of the file that they are about; absent where they are those of one process alone. */
  readonly version: string | undefined;
  readonly #frames: Record<AddressKind, Map<number, readonly Frame[]>> = { return: new Map(), exact: new Map() };
  readonly #isCode = new Map<number, boolean>();
  readonly #goCode = new Map<0, GoCode>();
  readonly #missingNames = new Map<0, ModuleWithoutNames>();
  #isKept = true;

  constructor(version?: string) {
    this.version = version;
  }

  frames(kind: AddressKind, rva: number, find: () => readonly Frame[]): readonly Frame[] {
    return this.#once(this.#frames[kind], rva, find);
  }

  isCode(rva: number, find: () => boolean): boolean {
    return this.#once(this.#isCode, rva, find);
  }

  goCode(find: () => GoCode): GoCode {
    return this.#once(this.#goCode, 0, find);
  }

  /** Why functions have no names. */
  missingNames(find: () => ModuleWithoutNames): ModuleWithoutNames {
    return this.#once(this.#missingNames, 0, find);
  }

  /** Answers from now on are for their askers alone: the file is another one than {@link version}. */
  stopKeeping(): void {
    this.#isKept = false;
  }

  #once<Key, Answer>(known: Map<Key, Answer>, key: Key, find: () => Answer): Answer {
    if (known.has(key)) return known.get(key)!;
    const answer = find();
    if (this.#isKept && known.size < ADDRESSES_MAX) known.set(key, answer);
    return answer;
  }
}

/** The file that a process has mapped as a module. */
interface ModuleFile {
  readonly path: string;
  /** The version that it has now. */
  readonly version: string;
  /** They decide which files may be read. */
  readonly userPaths: readonly string[];
}

/**
 * The answers that the processes of a tree share, because most of them run the same few files. They hold for one
 * version of a file, and for modules that have the size and the name of the first one.
 */
export class SharedAnswers {
  readonly #modules = new Map<string, ModuleAnswers>();

  /** Those about a module; the answers about an earlier version of its file are forgotten. */
  of({ name, sizeBytes, isSystem }: Module, { path, version, userPaths }: ModuleFile): ModuleAnswers {
    const key = JSON.stringify([path, name, sizeBytes, isSystem, userPaths]);
    const known = this.#modules.get(key);
    if (known?.version === version) return known;
    const answers = new ModuleAnswers(version);
    if (known !== undefined || this.#modules.size < MODULES_MAX) this.#modules.set(key, answers);
    return answers;
  }
}
