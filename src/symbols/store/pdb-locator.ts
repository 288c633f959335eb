import { closeSync, existsSync, fstatSync, readSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { nowMs } from '../../process/clock.ts';
import type { PdbReference } from '../debug-files.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import { PdbFile } from '../pdb/pdb-file.ts';
import { DownloadTime } from './download-time.ts';
import { compressedName, pdbName, POINTER_NAME, readPointer, storeParts } from './pdb-name.ts';
import { parseSymbolPath, type SymbolPlace } from './symbol-path.ts';
import { download, type ServerAnswer, type ServerLimits, type SymbolDownload, serverLimits } from './symbol-server.ts';

/** How to look for PDB files. */
interface LocatorOptions {
  /** As in `_NT_SYMBOL_PATH`; empty for none. */
  readonly searchPath: string;
  /** Where files of servers are kept that have no directory of their own. */
  readonly defaultCache?: string;
  readonly budget: MemoryBudget;
  /**
   * Opens a file for reading, if it may be opened: its path may come from a target.
   *
   * @param isUsers whether the path is in a directory that the user named
   */
  readonly openFile: (path: string, isUsers: boolean) => number | undefined;
  readonly limits?: ServerLimits;
  /** Called with the news of each download. */
  readonly onDownload?: ((download: SymbolDownload) => void) | undefined;
}

/** All downloads of one audit take so long together at most: the target may stand meanwhile, as at its exit. */
const DOWNLOADS_MS_MAX = 120_000;
/** A server that could not be used, or refused a file, is not asked for that file again so soon. */
const REFUSAL_MS = 60_000;
const POINTER_SIZE_BYTES_MAX = 4096;
const VAIN_ANSWERS_MAX = 10_000;

/**
 * Finds the PDB that an executable file names, by its GUID and its age: where the linker wrote it, beside the module,
 * and at the places of the symbol path. A server is asked only by {@link PdbLocator.fetch}.
 */
export class PdbLocator {
  readonly #options: LocatorOptions;
  readonly #places: readonly SymbolPlace[];
  /** Why stores do not give files that they have, by the path in the executable file. */
  readonly #troubles = new Map<string, string>();
  readonly #downloadTime = new DownloadTime(DOWNLOADS_MS_MAX);

  constructor(options: LocatorOptions) {
    this.#options = options;
    this.#places = parseSymbolPath(options.searchPath, options.defaultCache ?? defaultSymbolCache());
  }

  /** Whether there is a server to ask. */
  get hasServers(): boolean {
    return this.#places.some((place) => place.kind === 'store' && place.server !== undefined);
  }

  /** Opens the PDB of a module, of those on this machine. */
  open(reference: PdbReference, modulePath: string): PdbFile | undefined {
    const name = pdbName(reference);
    const beside = name === undefined ? [] : [join(dirname(modulePath), name)];
    for (const path of [reference.path, ...beside]) {
      const file = this.#openPdb(path, reference, false);
      if (file !== undefined) return file;
    }
    if (name === undefined) return undefined;
    for (const place of this.#places) {
      const file =
        place.kind === 'directory'
          ? this.#openIn(place.path, name, reference)
          : this.#openInStore(place, name, reference);
      if (file !== undefined) return file;
    }
    return undefined;
  }

  /** A directory holds the file itself, or a store: debuggers look for both. */
  #openIn(directory: string, name: string, reference: PdbReference): PdbFile | undefined {
    return (
      this.#openPdb(join(directory, name), reference, true) ??
      this.#openInStore({ directories: [directory] }, name, reference)
    );
  }

  #openInStore(
    { directories }: { readonly directories: readonly string[] },
    name: string,
    reference: PdbReference,
  ): PdbFile | undefined {
    for (const directory of directories) {
      const at = (file: string): string => storePath(directory, { name, id: reference.id }, file);
      const file = this.#openPdb(at(name), reference, true) ?? this.#openPointed(at(POINTER_NAME), reference);
      if (file !== undefined) return file;
      const compressed = this.#options.openFile(at(compressedName(name)), true);
      if (compressed === undefined) continue;
      closeSync(compressed);
      this.#note(
        reference,
        `${at(compressedName(name))} is compressed. Try: expand.exe, or symstore.exe without /compress`,
      );
    }
    return undefined;
  }

  #openPointed(path: string, reference: PdbReference): PdbFile | undefined {
    const descriptor = this.#options.openFile(path, true);
    if (descriptor === undefined) return undefined;
    let target: string | undefined;
    try {
      const bytes = Buffer.alloc(Math.min(fstatSync(descriptor).size, POINTER_SIZE_BYTES_MAX));
      target = readPointer(bytes.toString('utf8', 0, readSync(descriptor, bytes)));
    } finally {
      closeSync(descriptor);
    }
    return target === undefined ? undefined : this.#openPdb(target, reference, false);
  }

  #openPdb(path: string, { id }: { readonly id: string }, isUsers: boolean): PdbFile | undefined {
    const descriptor = this.#options.openFile(path, isUsers);
    const file = descriptor === undefined ? undefined : PdbFile.fromDescriptor(descriptor, this.#options.budget);
    if (file === undefined || file.id === id) return file;
    file[Symbol.dispose]();
    return undefined;
  }

  /**
   * Asks the servers of the symbol path for a PDB, and opens it. Never rejects: {@link troubleOf} says why there is
   * none.
   */
  async fetch(reference: PdbReference): Promise<PdbFile | undefined> {
    const name = pdbName(reference);
    if (name === undefined) return undefined;
    const { limits = serverLimits, onDownload } = this.#options;
    const file = { name, id: reference.id };
    const isWanted = (path: string): boolean => {
      using found = this.#openPdb(path, reference, true);
      return found !== undefined;
    };
    for (const place of this.#places) {
      if (place.kind !== 'store' || place.server === undefined) continue;
      const path = storePath(place.directories[0]!, file, name);
      const ask = (signal: AbortSignal): Promise<ServerAnswer> => {
        const options = { limits, signal, ...(onDownload && { onProgress: onDownload }) };
        return download(place.server!, file, path, isWanted, options);
      };
      const answer = await askOnce(place.server, file, this.#downloadTime, ask);
      // Another audit of this tool may have written it meanwhile.
      const written = answer.kind === 'absent' ? undefined : this.#openPdb(path, reference, true);
      const found = written ?? (answer.kind === 'elsewhere' ? this.#openPdb(answer.path, reference, false) : undefined);
      if (found !== undefined) return found;
      if (answer.kind === 'refused') this.#note(reference, `${place.server} ${answer.why}`);
    }
    return undefined;
  }

  /** Why a store that knows a PDB did not give it. */
  troubleOf({ path }: PdbReference): string | undefined {
    return this.#troubles.get(path);
  }

  #note({ path }: PdbReference, trouble: string): void {
    if (!this.#troubles.has(path)) this.#troubles.set(path, trouble);
  }
}

/** An answer of a server that has no file to give. */
interface VainAnswer {
  readonly answer: ServerAnswer;
  /** {@link nowMs} from which on the server may be asked again. */
  readonly untilMs: number;
}

/** An audit of many processes asks for the same files again and again. */
const vainAnswers = new Map<string, VainAnswer>();

async function askOnce(
  server: string,
  { name, id }: { readonly name: string; readonly id: string },
  time: DownloadTime,
  ask: (signal: AbortSignal) => Promise<ServerAnswer>,
): Promise<ServerAnswer> {
  const key = `${server}\n${name}\n${id}`;
  const known = vainAnswers.get(key);
  if (known !== undefined && nowMs() < known.untilMs) return known.answer;
  vainAnswers.delete(key);
  return await time.during(async (signal) => {
    const answer = await ask(signal);
    // The server is not to blame where this audit has no time left.
    const isVain = answer.kind !== 'written' && !(answer.kind === 'refused' && signal.aborted);
    const untilMs = answer.kind === 'refused' ? nowMs() + REFUSAL_MS : Number.POSITIVE_INFINITY;
    if (isVain && vainAnswers.size < VAIN_ANSWERS_MAX) vainAnswers.set(key, { answer, untilMs });
    return answer;
  });
}

/** Where a store has a file. */
function storePath(directory: string, { name, id }: { name: string; id: string }, file: string): string {
  const isTwoTier = existsSync(join(directory, 'index2.txt'));
  return join(directory, ...storeParts(name, id, file, isTwoTier));
}

/** The directory for files of servers, if the symbol path names none. */
export function defaultSymbolCache(): string {
  return join(process.env['LOCALAPPDATA'] ?? tmpdir(), 'unclosed', 'symbols');
}
