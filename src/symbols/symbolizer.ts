import { isBytecodeOffset } from '../call-ledger.ts';
import type { Frame, ModuleWithoutNames } from '../model.ts';
import type { Module } from '../process/modules.ts';
import { openTargetFile, toTargetFilePath } from '../process/target-file.ts';
import { explainMissingNames, type PdbReference } from './debug-files.ts';
import type { SourceLine } from './dwarf/lines.ts';
import { ExecutableFile } from './executable-file.ts';
import { MemoryBudget } from './memory-budget.ts';
import { readFileVersion } from './file-version.ts';
import { findInDwarf } from './find-in-dwarf.ts';
import { findInGo } from './find-in-go.ts';
import { findInPdb } from './find-in-pdb.ts';
import { ModuleMap } from './module-map.ts';
import { PDB_SIZE_BYTES_MAX, type PdbFile } from './pdb/pdb-file.ts';
import { type AddressKind, ModuleAnswers, type SharedAnswers } from './shared-answers.ts';
import { environmentSearchPath, spellLine, toWindowsPath } from './source-path.ts';
import { PdbLocator } from './store/pdb-locator.ts';
import type { ServerLimits, SymbolDownload } from './store/symbol-server.ts';
import { spellExport, undecorate } from './undecorate.ts';

/** Where symbols come from. */
export interface SymbolSearch {
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`, which is used where this is absent. */
  readonly searchPath?: string | undefined;
  /** Called with the news of each download from a symbol server. */
  readonly onDownload?: ((download: SymbolDownload) => void) | undefined;
}

/** How a {@link Symbolizer} looks for symbols. */
interface SymbolizerOptions extends SymbolSearch {
  /**
   * Whether to read debug information of the system's own modules, which may be large or come over the network. By
   * default only where `_NT_SYMBOL_PATH` or {@link searchPath} is set. Their exports name functions in any case.
   */
  readonly systemSymbols?: boolean;
  /** Paths that the user gave: files are read from a network drive or share only if one of these is on it. */
  readonly userPaths?: readonly string[];
  /** Limits of symbol servers, where they are not the usual ones. */
  readonly limits?: ServerLimits;
  /** The answers for other processes, with the same options. */
  readonly shared?: SharedAnswers | undefined;
}

/** The sources of symbols for one module, opened for its first address. */
interface Source {
  /** Absent where the file is gone, or was replaced after it was loaded. */
  readonly file: ExecutableFile | undefined;
  /** Whether to read more of it than exports and COFF symbols. */
  readonly useDebugInformation: boolean;
  /** The PDB that the file names, where it was found. */
  pdb: PdbFile | undefined;
  /** The question to the servers for it that is under way. */
  asking: Promise<void> | undefined;
  /** All machine code in it is .NET's own; that of the program is made at run time, or mapped without a module. */
  readonly isManagedHost: boolean;
}

/** The symbols of an address. */
interface Found {
  readonly name?: string;
  /** Where the function begins, relative to the module's base. */
  readonly begin?: number;
  readonly line?: SourceLine;
  /** The innermost first. */
  readonly inlined: readonly { readonly name: string; readonly line?: SourceLine }[];
}

/** An executable file places its sections by offsets and sizes of 32 bits: nothing of it lies beyond. */
const FILE_SIZE_BYTES_MAX = 2 ** 33;

const DOWNLOADS_AT_A_TIME = 6;

/**
 * An export of coreclr.dll, and of programs that are published as a single file and hold the same code, without names.
 * Debuggers find the runtime by it (dotnet/runtime, src/coreclr/debug/runtimeinfo).
 */
const MANAGED_HOST_EXPORT = 'DotNetRuntimeInfo';

/**
 * Turns addresses of a process into functions and source lines.
 *
 * Works from the files of the modules alone, so the process may have ended. It remembers every answer: the same address
 * costs one look-up.
 */
export class Symbolizer implements Disposable {
  readonly #options: SymbolizerOptions;
  readonly #modules = new ModuleMap();
  /** By all that is known of a module: one that is forgotten may come back. */
  readonly #sources = new Map<string, Source>();
  readonly #sourceOf = new WeakMap<Module, Source>();
  /** Files that were read before their modules were known, by path in lower case. */
  readonly #readAhead = new Map<string, ExecutableFile>();
  /** By the modules that were asked about, in order. */
  readonly #answers = new Map<Module, ModuleAnswers>();
  /** Shared by all files. */
  readonly #budget = new MemoryBudget();
  /** Called with the name of the module for each address that is looked up, which may take long. */
  onModule: ((name: string) => void) | undefined;
  readonly #locator: PdbLocator;
  #isDisposed = false;

  constructor(modules: readonly Module[] = [], options: SymbolizerOptions = {}) {
    this.#options = options;
    this.#locator = new PdbLocator({
      searchPath: options.searchPath ?? environmentSearchPath(),
      budget: this.#budget,
      openFile: (path, isUsers) => this.#openPdbFile(path, isUsers),
      onDownload: options.onDownload,
      ...(options.limits && { limits: options.limits }),
    });
    this.addModules(modules);
  }

  /** Adds modules that the process loaded later, or unloaded earlier. A module that overlaps a known one is ignored. */
  addModules(modules: readonly Module[]): void {
    this.#modules.add(modules);
  }

  /**
   * Adds modules that lie where they are now, or did so last. The known ones that they overlap are forgotten: addresses
   * in them get other answers from now on. Where two of the added modules overlap, the first counts.
   */
  addLatestModules(modules: readonly Module[]): void {
    this.#modules.addLatest(modules);
  }

  /** Whether a module at a place overlaps none that is known. */
  hasRoomFor(place: Pick<Module, 'base' | 'sizeBytes'>): boolean {
    return this.#modules.hasRoomFor(place);
  }

  /**
   * Reads names in spare time, from the files that are most likely to be needed. Each step of the iteration reads one
   * piece, and the caller may stop after any. The modules must still be added.
   *
   * @param paths as those of the modules
   */
  *readAhead(paths: readonly string[]): Generator<void> {
    for (const path of paths) {
      const file = this.#openAhead(path);
      if (file === undefined) continue;
      yield;
      yield* file.readAhead();
    }
  }

  /** Where the code of Go lies in a Go program; `undefined` for any other. The module must still be added. */
  findGoCode(module: Module): { readonly begin: bigint; readonly sizeBytes: number } | undefined {
    const code = this.#answersOf(module).goCode(() => this.#readGoCode(module));
    return code && { begin: module.base + BigInt(code.begin), sizeBytes: code.sizeBytes };
  }

  /** The module that holds an address. */
  moduleOf(address: bigint): Module | undefined {
    return this.#modules.at(address);
  }

  /**
   * The function and the line of an address, as far as symbols allow; those of the innermost function where some were
   * inlined.
   *
   * @param address unsigned; any is allowed, and one outside of all modules has module `?`
   */
  resolve(address: bigint, kind: AddressKind = 'return'): Frame {
    return this.resolveInlined(address, kind)[0]!;
  }

  /**
   * All functions that an address is in: first the inlined ones from the innermost outwards, then the one whose code it
   * is. At least one.
   */
  resolveInlined(address: bigint, kind: AddressKind = 'return'): readonly Frame[] {
    const module = this.moduleOf(address);
    if (module === undefined) return [{ module: '?', offset: Number(BigInt.asUintN(64, address)) }];
    const rva = Number(address - module.base);
    return this.#answersOf(module).frames(kind, rva, () => this.#find(module, address, kind));
  }

  /**
   * A whole stack of return addresses, innermost first, with the frames of inlined functions. The walk has not looked
   * at the last address of a full stack: it is left out if it is in a module where no code is.
   */
  resolveStack(addresses: Iterable<bigint>): Frame[] {
    // The instructions of V8's interpreter mean something to its logs alone.
    const stack = [...addresses].filter((address) => !isBytecodeOffset(address));
    if (stack.length > 1 && this.#isData(stack.at(-1)!)) stack.pop();
    return stack.flatMap((address) => this.resolveInlined(address));
  }

  #isData(address: bigint): boolean {
    const module = this.moduleOf(address);
    if (module === undefined) return false;
    const rva = Number(address - module.base);
    return !this.#answersOf(module).isCode(rva, () => this.#open(module).file?.isCode(rva) !== false);
  }

  /**
   * Asks the servers of the search path, if there are any, for the PDB files of modules that hold some addresses. Comes
   * before these addresses are resolved.
   *
   * @returns resolves when all have come, or cannot
   */
  async fetchSymbols(addresses: Iterable<bigint>): Promise<void> {
    if (!this.#locator.hasServers) return;
    const modules = new Set<Module>();
    for (const address of addresses) {
      const module = this.moduleOf(address);
      if (module !== undefined) modules.add(module);
    }
    const waiting = modules.values();
    const fetchNext = async (): Promise<void> => {
      for (const module of waiting) if (!this.#isDisposed) await this.#fetchPdb(this.#open(module));
    };
    await Promise.all(Array.from({ length: DOWNLOADS_AT_A_TIME }, fetchNext));
  }

  async #fetchPdb(source: Source): Promise<void> {
    const reference = source.useDebugInformation && source.pdb === undefined ? source.file?.pdb : undefined;
    if (reference === undefined) return;
    source.asking ??= this.#askForPdb(source, reference).finally(() => (source.asking = undefined));
    await source.asking;
  }

  async #askForPdb(source: Source, reference: PdbReference): Promise<void> {
    const pdb = await this.#locator.fetch(reference);
    if (pdb === undefined) return;
    if (this.#isDisposed) return pdb[Symbol.dispose]();
    source.pdb = pdb;
    // The answers until now were without its names.
    for (const module of this.#answers.keys())
      if (this.#sourceOf.get(module) === source) this.#answers.set(module, new ModuleAnswers());
  }

  /** Why functions of modules with this name have no names, as far as the file of the first one says. */
  explainMissingNames(name: string): ModuleWithoutNames {
    if (name === '?') return { module: name, why: 'made-at-run-time' };
    const [module, answers] = [...this.#answers].find(([each]) => each.name === name) ?? [];
    if (module === undefined || answers === undefined)
      return { module: name, ...explainMissingNames(undefined, false) };
    return answers.missingNames(() => this.#explain(module));
  }

  #explain(module: Module): ModuleWithoutNames {
    const { file, pdb } = this.#open(module);
    const files = file?.debugFiles();
    const trouble = files?.pdb && pdb === undefined ? this.#locator.troubleOf(files.pdb) : undefined;
    return { module: module.name, ...explainMissingNames(files, pdb !== undefined, trouble) };
  }

  /** Releases the symbols. Frames that were returned stay valid. */
  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const { file, pdb } of this.#sources.values()) {
      file?.[Symbol.dispose]();
      pdb?.[Symbol.dispose]();
    }
    for (const file of this.#readAhead.values()) file[Symbol.dispose]();
    this.#sources.clear();
    this.#readAhead.clear();
  }

  /** The answers about a module that are known by now: those for other processes, too, if it is of the same file. */
  #answersOf(module: Module): ModuleAnswers {
    let answers = this.#answers.get(module);
    if (answers === undefined) {
      answers = this.#sharedAnswersOf(module) ?? new ModuleAnswers();
      this.#answers.set(module, answers);
    }
    return answers;
  }

  #sharedAnswersOf(module: Module): ModuleAnswers | undefined {
    const { shared, userPaths = [] } = this.#options;
    // A server may have for one process what it did not give for the process before.
    if (shared === undefined || this.#locator.hasServers) return undefined;
    const path = toTargetFilePath(module.path, userPaths);
    const version = path === undefined ? undefined : readFileVersion(path);
    if (path === undefined || version === undefined) return undefined;
    return shared.of(module, { path, version, userPaths });
  }

  #find(module: Module, address: bigint, kind: AddressKind): readonly Frame[] {
    this.onModule?.(module.name);
    // A call that never returns may be a function's last instruction: then the return address is in the next function.
    const place = kind === 'return' && address > module.base ? address - 1n : address;
    const source = this.#open(module);
    const rva = Number(place - module.base);
    const found =
      // Go's table comes first: it has the names of Go, and debug information may be absent, or differ from them.
      (source.useDebugInformation ? findInGo(source.file, rva) : undefined) ??
      (source.useDebugInformation ? findInDwarf(source.file, rva, { wantsLines: !module.isSystem }) : undefined) ??
      (source.pdb && findInPdb(source.pdb, source.file, rva, { wantsLines: !module.isSystem })) ??
      this.#findByName(module, source, rva);
    const offset = Number(address - module.base) - (found.begin ?? 0);
    const exported = module.isSystem ? spellExport(source.file?.symbolOf(rva)?.name, found.name) : {};
    const common = { module: module.name, offset, ...markOf(module, source), ...exported };
    return [
      ...found.inlined.map(({ name, line }): Frame => ({ ...common, function: name, ...line, inlined: true })),
      { ...common, ...(found.name === undefined ? {} : { function: found.name }), ...found.line },
    ];
  }

  /** By the file's COFF symbols and exports, with a line where the file has lines nevertheless. */
  #findByName(module: Module, { file, pdb }: Source, rva: number): Found {
    const named = file?.symbolOf(rva);
    // Lines of the system's modules name files of the machine that built them, which help no reader.
    const line = module.isSystem ? undefined : spellLine(file?.lineOf(rva) ?? pdb?.lineOf(rva));
    return { inlined: [], ...(named && { name: undecorate(named.name), begin: named.rva }), ...(line && { line }) };
  }

  #readGoCode(module: Module): { readonly begin: number; readonly sizeBytes: number } | undefined {
    const path = toTargetFilePath(module.path, this.#options.userPaths);
    const file = path === undefined ? undefined : this.#openAhead(path, module);
    return file?.imageSizeBytes === module.sizeBytes ? file.goFunctions?.code : undefined;
  }

  #open(module: Module): Source {
    const known = this.#sourceOf.get(module);
    if (known !== undefined) return known;
    const key = JSON.stringify([String(module.base), module.sizeBytes, module.name, module.path, module.isSystem]);
    const source = this.#sources.get(key) ?? this.#openFiles(module);
    this.#sources.set(key, source);
    this.#sourceOf.set(module, source);
    return source;
  }

  /** Opens the module's file and, where it is wanted, its debug information. */
  #openFiles(module: Module): Source {
    const path = toTargetFilePath(module.path, this.#options.userPaths);
    const opened = path === undefined ? undefined : this.#takeFile(module, path);
    // A file of another size replaced the one that was loaded: its names would be false.
    const isSame = opened?.imageSizeBytes === module.sizeBytes;
    if (!isSame) opened?.[Symbol.dispose]();
    const file = isSame ? opened : undefined;
    const useDebugInformation = this.#wantsDebugInformation(module);
    const pdb = useDebugInformation ? file?.pdb : undefined;
    return {
      file,
      useDebugInformation,
      isManagedHost: !module.isSystem && file?.exports(MANAGED_HOST_EXPORT) === true,
      pdb: pdb && this.#locator.open(pdb, path!),
      asking: undefined,
    };
  }

  /** Opens a file, once, before its module's symbols are read. */
  #openAhead(path: string, module?: Module): ExecutableFile | undefined {
    const key = path.toLowerCase();
    const file =
      this.#readAhead.get(key) ?? (module === undefined ? this.#openFile(path) : this.#openFileOf(module, path));
    if (file !== undefined) this.#readAhead.set(key, file);
    return file;
  }

  #takeFile(module: Module, path: string): ExecutableFile | undefined {
    const key = path.toLowerCase();
    const file = this.#readAhead.get(key);
    this.#readAhead.delete(key);
    return file ?? this.#openFileOf(module, path);
  }

  /** Another file may have taken the name since the answers about the module were looked for. */
  #openFileOf(module: Module, path: string): ExecutableFile | undefined {
    const file = this.#openFile(path);
    const answers = this.#answersOf(module);
    if (answers.version !== undefined && answers.version !== readFileVersion(path)) answers.stopKeeping();
    return file;
  }

  #openFile(path: string): ExecutableFile | undefined {
    const { userPaths = [] } = this.#options;
    const descriptor = openTargetFile(path, { sizeBytesMax: FILE_SIZE_BYTES_MAX, userPaths });
    return descriptor === undefined ? undefined : ExecutableFile.fromDescriptor(descriptor, this.#budget);
  }

  #wantsDebugInformation(module: Module): boolean {
    if (!module.isSystem) return true;
    return this.#options.systemSymbols ?? (this.#options.searchPath ?? process.env['_NT_SYMBOL_PATH']) !== undefined;
  }

  #openPdbFile(path: string, isUsers: boolean): number | undefined {
    const { userPaths = [] } = this.#options;
    const plain = toWindowsPath(path);
    return openTargetFile(plain, {
      sizeBytesMax: PDB_SIZE_BYTES_MAX,
      userPaths: isUsers ? [...userPaths, plain] : userPaths,
    });
  }
}

function markOf(module: Module, { isManagedHost }: Source): Pick<Frame, 'system' | 'runtime'> {
  if (module.isSystem) return { system: true };
  return isManagedHost ? { runtime: true } : {};
}
