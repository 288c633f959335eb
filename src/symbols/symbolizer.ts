import { isWine } from '../ffi/ntdll.ts';
import { isBytecodeOffset } from '../call-ledger.ts';
import type { Frame, ModuleWithoutNames } from '../model.ts';
import type { Module } from '../process/modules.ts';
import { openTargetFile, toTargetFilePath } from '../process/target-file.ts';
import { toWindowsSymbolPath } from '../wine/paths.ts';
import { explainMissingNames, type PdbReference } from './debug-files.ts';
import type { SourceLine } from './dwarf/lines.ts';
import { ExecutableFile } from './executable-file.ts';
import { MemoryBudget } from './memory-budget.ts';
import { findInPdb } from './find-in-pdb.ts';
import { ModuleMap } from './module-map.ts';
import { PDB_SIZE_BYTES_MAX, type PdbFile } from './pdb/pdb-file.ts';
import { spellLine, toWindowsPath } from './source-path.ts';
import { PdbLocator } from './store/pdb-locator.ts';
import type { ServerLimits, SymbolDownload } from './store/symbol-server.ts';
import { undecorate } from './undecorate.ts';

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
}

/** The sources of symbols for one module, opened for its first address. */
interface Source {
  /** As that of the module. */
  readonly name: string;
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
  /** The answers, by address relative to the module's base. */
  readonly frames: Readonly<Record<AddressKind, Map<number, readonly Frame[]>>>;
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

/** Where an address lies. */
type AddressKind =
  /** Just after a call: it belongs to the call, which ends one byte before, although the next statement begins here. */
  | 'return'
  /** An instruction that is about to run, or the beginning of a function. */
  | 'exact';

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
  /** Shared by all files. */
  readonly #budget = new MemoryBudget();
  /** Called with the name of the module for each address that is looked up, which may take long. */
  onModule: ((name: string) => void) | undefined;
  readonly #locator: PdbLocator;
  #isDisposed = false;

  constructor(modules: readonly Module[] = [], options: SymbolizerOptions = {}) {
    this.#options = options;
    this.#locator = new PdbLocator({
      searchPath: options.searchPath ?? readEnvironmentPath(),
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
    const path = toTargetFilePath(module.path, this.#options.userPaths);
    const file = path === undefined ? undefined : this.#openAhead(path);
    const code = file?.imageSizeBytes === module.sizeBytes ? file.goFunctions?.code : undefined;
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
    const known = this.#sourceOf.get(module)?.frames[kind].get(Number(address - module.base));
    if (known !== undefined) return known;
    this.onModule?.(module.name);
    const source = this.#open(module);
    const frames = this.#find(address, kind, module, source);
    source.frames[kind].set(Number(address - module.base), frames);
    return frames;
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
    const { file } = this.#open(module);
    return file !== undefined && !file.isCode(Number(address - module.base));
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
    source.frames.return.clear();
    source.frames.exact.clear();
  }

  /** Why functions of modules with this name have no names, as far as the file of the first one says. */
  explainMissingNames(name: string): ModuleWithoutNames {
    if (name === '?') return { module: name, why: 'made-at-run-time' };
    const source = [...this.#sources.values()].find((each) => each.name === name);
    const files = source?.file?.debugFiles();
    const trouble = files?.pdb && source?.pdb === undefined ? this.#locator.troubleOf(files.pdb) : undefined;
    return { module: name, ...explainMissingNames(files, source?.pdb !== undefined, trouble) };
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

  #find(address: bigint, kind: AddressKind, module: Module, source: Source): readonly Frame[] {
    // A call that never returns may be a function's last instruction: then the return address is in the next function.
    const place = kind === 'return' && address > module.base ? address - 1n : address;
    const rva = Number(place - module.base);
    const found =
      findByGo(source, rva) ??
      this.#findByDwarf(module, source, rva) ??
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

  #findByDwarf(module: Module, { file, useDebugInformation }: Source, rva: number): Found | undefined {
    const found = useDebugInformation ? file?.dwarfFunctionOf(rva) : undefined;
    if (found === undefined) return undefined;
    if (module.isSystem) return { ...found, inlined: [] };
    // Each function stands at the line where it called the one that was inlined; the innermost, where the address is.
    const lines = [file?.lineOf(rva), ...found.inlined.map(({ call }) => call)].map(spellLine);
    const outerLine = lines.at(-1);
    return {
      name: found.name,
      begin: found.begin,
      inlined: found.inlined.map(({ name }, index) => ({ name, ...(lines[index] && { line: lines[index] }) })),
      ...(outerLine && { line: outerLine }),
    };
  }

  /** By the file's COFF symbols and exports, with a line where the file has lines nevertheless. */
  #findByName(module: Module, { file, pdb }: Source, rva: number): Found {
    const named = file?.symbolOf(rva);
    // Lines of the system's modules name files of the machine that built them, which help no reader.
    const line = module.isSystem ? undefined : spellLine(file?.lineOf(rva) ?? pdb?.lineOf(rva));
    return { inlined: [], ...(named && { name: undecorate(named.name), begin: named.rva }), ...(line && { line }) };
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
    const opened = path === undefined ? undefined : this.#takeFile(path);
    // A file of another size replaced the one that was loaded: its names would be false.
    const isSame = opened?.imageSizeBytes === module.sizeBytes;
    if (!isSame) opened?.[Symbol.dispose]();
    const file = isSame ? opened : undefined;
    const useDebugInformation = this.#wantsDebugInformation(module);
    const pdb = useDebugInformation ? file?.pdb : undefined;
    return {
      name: module.name,
      file,
      useDebugInformation,
      isManagedHost: !module.isSystem && file?.exports(MANAGED_HOST_EXPORT) === true,
      pdb: pdb && this.#locator.open(pdb, path!),
      asking: undefined,
      frames: { return: new Map(), exact: new Map() },
    };
  }

  /** Opens a file, once, before its module is known. */
  #openAhead(path: string): ExecutableFile | undefined {
    const key = path.toLowerCase();
    const file = this.#readAhead.get(key) ?? this.#openFile(path);
    if (file !== undefined) this.#readAhead.set(key, file);
    return file;
  }

  #takeFile(path: string): ExecutableFile | undefined {
    const key = path.toLowerCase();
    const file = this.#readAhead.get(key);
    this.#readAhead.delete(key);
    return file ?? this.#openFile(path);
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

/** Go's table comes first: it has the names of Go, and debug information may be absent, or differ from them. */
function findByGo({ file, useDebugInformation }: Source, rva: number): Found | undefined {
  const found = useDebugInformation ? file?.goFunctions?.find(rva) : undefined;
  if (found === undefined) return undefined;
  const spell = <Part extends { readonly line?: SourceLine }>(part: Part): Part => {
    const line = spellLine(part.line);
    return line === undefined ? part : { ...part, line };
  };
  return { ...spell(found), inlined: found.inlined.map(spell) };
}

/** On Linux a user may name directories of Linux. */
function readEnvironmentPath(): string {
  const path = process.env['_NT_SYMBOL_PATH'] ?? '';
  return isWine ? toWindowsSymbolPath(path) : path;
}

/** {@link Frame.exported}, where it differs from the name that was found. */
function spellExport(exported: string | undefined, name: string | undefined): Pick<Frame, 'exported'> {
  const spelt = exported === undefined ? '' : undecorate(exported);
  return name === undefined || spelt === name ? {} : { exported: spelt };
}
