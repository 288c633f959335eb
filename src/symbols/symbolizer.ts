import { win32 } from 'node:path';

import { isWine } from '../ffi/ntdll.ts';
import type { Frame, ModuleWithoutNames } from '../model.ts';
import type { Module } from '../process/modules.ts';
import { mayOpenTargetFile, openTargetFile, toTargetFilePath } from '../process/target-file.ts';
import { DbghelpSession } from './dbghelp-session.ts';
import { explainMissingNames } from './debug-files.ts';
import type { SourceLine } from './dwarf/lines.ts';
import { ExecutableFile } from './executable-file.ts';
import { MemoryBudget } from './memory-budget.ts';
import { lastAtOrBelow } from './sorted-search.ts';
import { undecorate } from './undecorate.ts';

/** How a {@link Symbolizer} looks for symbols. */
interface SymbolizerOptions {
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`, which is used where this is absent. */
  readonly searchPath?: string;
  /**
   * Whether to read debug information of the system's own modules, which may be large or come over the network. By
   * default only where `_NT_SYMBOL_PATH` or {@link searchPath} is set. Their exports name functions in any case.
   */
  readonly systemSymbols?: boolean;
  /** Paths that the user gave: files are read from a network drive or share only if one of these is on it. */
  readonly userPaths?: readonly string[];
}

/** The sources of symbols for one module, opened for its first address. */
interface Source {
  /** Absent where the file is gone, or was replaced after it was loaded. */
  readonly file: ExecutableFile | undefined;
  /** Whether to read more of it than exports and COFF symbols. */
  readonly useDebugInformation: boolean;
  /** dbghelp has loaded the PDB that the file names. */
  readonly hasPdb: boolean;
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

/** Where an address lies. */
type AddressKind =
  /** Just after a call: it belongs to the call, which ends one byte before, although the next statement begins here. */
  | 'return'
  /** An instruction that is about to run, or the beginning of a function. */
  | 'exact';

/** An executable file places its sections by offsets and sizes of 32 bits: nothing of it lies beyond. */
const FILE_SIZE_BYTES_MAX = 2 ** 33;

/**
 * An export of coreclr.dll, and of programs that are published as a single file and hold the same code, without names.
 * Debuggers find the runtime by it (dotnet/runtime, src/coreclr/debug/runtimeinfo).
 */
const MANAGED_HOST_EXPORT = 'DotNetRuntimeInfo';

/** A function without a size in its debug information is believed to end here at the latest. */
const FUNCTION_SIZE_BYTES_MAX = 65_536;

/**
 * Turns addresses of a process into functions and source lines.
 *
 * Works from the files of the modules alone, so the process may have ended. It remembers every answer: the same address
 * costs one look-up. It must stay on one thread, as dbghelp must.
 */
export class Symbolizer implements Disposable {
  readonly #options: SymbolizerOptions;
  /** By ascending base. */
  #modules: Module[] = [];
  readonly #sources = new Map<Module, Source>();
  /** Files that were read before their modules were known, by path in lower case. */
  readonly #readAhead = new Map<string, ExecutableFile>();
  readonly #frames: Record<AddressKind, Map<bigint, readonly Frame[]>> = { return: new Map(), exact: new Map() };
  /** Shared by all files. */
  readonly #budget = new MemoryBudget();
  #dbghelp: DbghelpSession | undefined;
  /** Called with the name of the module for each address that is looked up, which may take long. */
  onModule: ((name: string) => void) | undefined;

  constructor(modules: readonly Module[] = [], options: SymbolizerOptions = {}) {
    this.#options = options;
    this.addModules(modules);
  }

  /**
   * Adds modules that the process loaded later, or unloaded earlier. A module that overlaps a known one is ignored.
   * Addresses that were resolved before keep their answers.
   */
  addModules(modules: readonly Module[]): void {
    for (const module of modules) {
      const index = this.#indexBelow(module.base);
      const below = this.#modules[index];
      const above = this.#modules[index + 1];
      if (below !== undefined && below.base + BigInt(below.sizeBytes) > module.base) continue;
      if (above !== undefined && module.base + BigInt(module.sizeBytes) > above.base) continue;
      this.#modules.splice(index + 1, 0, module);
    }
  }

  /**
   * Reads names in spare time, from the files that are most likely to be needed. Each step of the iteration reads one
   * piece, and the caller may stop after any. The modules must still be added.
   *
   * @param paths as those of the modules
   */
  *readAhead(paths: readonly string[]): Generator<void> {
    for (const path of paths) {
      const file = this.#openFile(path);
      if (file === undefined) continue;
      this.#readAhead.set(path.toLowerCase(), file);
      yield;
      yield* file.readAhead();
    }
  }

  /** Where the code of Go lies in a Go program; `undefined` for any other. The module must still be added. */
  findGoCode(module: Module): { readonly begin: bigint; readonly sizeBytes: number } | undefined {
    const path = toTargetFilePath(module.path, this.#options.userPaths);
    const file = path === undefined ? undefined : this.#openFile(path);
    if (path === undefined || file === undefined) return undefined;
    this.#readAhead.set(path.toLowerCase(), file);
    const code = file.imageSizeBytes === module.sizeBytes ? file.goFunctions?.code : undefined;
    return code && { begin: module.base + BigInt(code.begin), sizeBytes: code.sizeBytes };
  }

  /** The module that holds an address. */
  moduleOf(address: bigint): Module | undefined {
    const module = this.#modules[this.#indexBelow(address)];
    return module !== undefined && address < module.base + BigInt(module.sizeBytes) ? module : undefined;
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
    const known = this.#frames[kind].get(address);
    if (known !== undefined) return known;
    const frames = this.#find(address, kind);
    this.#frames[kind].set(address, frames);
    return frames;
  }

  /**
   * A whole stack of return addresses, innermost first, with the frames of inlined functions. The walk has not looked
   * at the last address of a full stack: it is left out if it is in a module where no code is.
   */
  resolveStack(addresses: Iterable<bigint>): Frame[] {
    const stack = [...addresses];
    if (stack.length > 1 && this.#isData(stack.at(-1)!)) stack.pop();
    return stack.flatMap((address) => this.resolveInlined(address));
  }

  #isData(address: bigint): boolean {
    const module = this.moduleOf(address);
    if (module === undefined) return false;
    const { file } = this.#sources.get(module) ?? this.#open(module);
    return file !== undefined && !file.isCode(Number(address - module.base));
  }

  /** Why functions of modules with this name have no names, as far as the file of the first one says. */
  explainMissingNames(name: string): ModuleWithoutNames {
    if (name === '?') return { module: name, why: 'made-at-run-time' };
    const [module, source] = [...this.#sources].find(([each]) => each.name === name) ?? [];
    const foundPdb = source?.hasPdb === true && this.#dbghelp?.foundPdb(module!.base) === true;
    return { module: name, ...explainMissingNames(source?.file?.debugFiles(), foundPdb) };
  }

  /** Releases the symbols. Frames that were returned stay valid. */
  [Symbol.dispose](): void {
    this.#dbghelp?.[Symbol.dispose]();
    this.#dbghelp = undefined;
    for (const { file } of this.#sources.values()) file?.[Symbol.dispose]();
    for (const file of this.#readAhead.values()) file[Symbol.dispose]();
    this.#sources.clear();
    this.#readAhead.clear();
  }

  #find(address: bigint, kind: AddressKind): readonly Frame[] {
    const module = this.moduleOf(address);
    if (module === undefined) return [{ module: '?', offset: Number(BigInt.asUintN(64, address)) }];
    this.onModule?.(module.name);
    // A call that never returns may be a function's last instruction: then the return address is in the next function.
    const place = kind === 'return' && address > module.base ? address - 1n : address;
    const source = this.#sources.get(module) ?? this.#open(module);
    const rva = Number(place - module.base);
    const found =
      findByGo(source, rva) ??
      this.#findByDwarf(module, source, rva) ??
      this.#findByPdb(module, source, place) ??
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

  #findByPdb(module: Module, source: Source, place: bigint): Found | undefined {
    if (!source.hasPdb || this.#dbghelp === undefined) return undefined;
    const symbol = this.#dbghelp.findSymbol(place);
    if (symbol === undefined || !isWithin(symbol, place, module, source.file)) return undefined;
    const begin = Number(symbol.address - module.base);
    if (module.isSystem) return { name: symbol.name, begin, inlined: [] };
    const { inlined, outerLine } = this.#dbghelp.findInlined(place, module.base);
    const line = inlined.length > 0 ? outerLine : this.#dbghelp.findLine(place);
    return { name: symbol.name, begin, inlined, ...(line && { line }) };
  }

  /** By the file's COFF symbols and exports, with a line where the file has lines nevertheless. */
  #findByName(module: Module, { file, hasPdb }: Source, rva: number): Found {
    const named = file?.symbolOf(rva);
    // Lines of the system's modules name files of the machine that built them, which help no reader.
    const known = module.isSystem ? undefined : spellLine(file?.lineOf(rva));
    const line = known ?? (hasPdb && !module.isSystem ? this.#dbghelp?.findLine(module.base + BigInt(rva)) : undefined);
    return { inlined: [], ...(named && { name: undecorate(named.name), begin: named.rva }), ...(line && { line }) };
  }

  /** Opens the module's file and, where it is wanted, its debug information. */
  #open(module: Module): Source {
    const path = toTargetFilePath(module.path, this.#options.userPaths);
    const opened = path === undefined ? undefined : this.#takeFile(path);
    // A file of another size replaced the one that was loaded: its names would be false.
    const isSame = opened?.imageSizeBytes === module.sizeBytes;
    if (!isSame) opened?.[Symbol.dispose]();
    const file = isSame ? opened : undefined;
    const useDebugInformation = this.#wantsDebugInformation(module);
    const pdb = useDebugInformation ? file?.pdb : undefined;
    const source = {
      file,
      useDebugInformation,
      isManagedHost: !module.isSystem && file?.exports(MANAGED_HOST_EXPORT) === true,
      hasPdb: pdb !== undefined && this.#load(path!, module, pdb.path),
    };
    this.#sources.set(module, source);
    return source;
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

  #load(path: string, module: Module, pdbPath: string): boolean {
    this.#dbghelp ??= new DbghelpSession(this.#options.searchPath ?? null);
    const followPdbPath = mayOpenTargetFile(pdbPath, this.#options.userPaths);
    return this.#dbghelp.load(path, module.base, module.sizeBytes, { followPdbPath });
  }

  /** Index of the last module whose base is at most `address`, or -1. */
  #indexBelow(address: bigint): number {
    return lastAtOrBelow(this.#modules.length, (index) => this.#modules[index]!.base, address);
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

/**
 * Whether an address is in the function that dbghelp named. dbghelp names the nearest one below, and may not know its
 * size.
 */
function isWithin(
  symbol: { address: bigint; sizeBytes: number },
  place: bigint,
  module: Module,
  file: ExecutableFile | undefined,
): boolean {
  if (place < symbol.address) return false;
  if (symbol.sizeBytes > 0 && place < symbol.address + BigInt(symbol.sizeBytes)) return true;
  const begin = file?.functionAt(Number(place - module.base))?.begin;
  if (begin !== undefined) return begin === file?.functionAt(Number(symbol.address - module.base))?.begin;
  return symbol.sizeBytes === 0 && place - symbol.address < FUNCTION_SIZE_BYTES_MAX;
}

/** {@link Frame.exported}, where it differs from the name that was found. */
function spellExport(exported: string | undefined, name: string | undefined): Pick<Frame, 'exported'> {
  const spelt = exported === undefined ? '' : undecorate(exported);
  return name === undefined || spelt === name ? {} : { exported: spelt };
}

function spellLine(line: SourceLine | undefined): SourceLine | undefined {
  return line && { file: toWindowsPath(line.file), line: line.line };
}

/**
 * A compiler's path as Windows spells it. A program that was built on the machine that Wine runs on names its sources
 * as that machine does; Wine shows its root as drive Z:.
 */
function toWindowsPath(path: string): string {
  if (isWine && path.startsWith('/')) return win32.normalize(`Z:${path}`);
  return /^[a-z]:[\\/]/i.test(path) ? win32.normalize(path) : path;
}
