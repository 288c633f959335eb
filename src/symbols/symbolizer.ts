import { win32 } from 'node:path';

import { isWine } from '../ffi/ntdll.ts';
import type { Frame } from '../model.ts';
import type { Module } from '../process/modules.ts';
import { DbghelpSession } from './dbghelp-session.ts';
import type { SourceLine } from './dwarf-lines.ts';
import { ExecutableFile } from './executable-file.ts';
import { undecorate } from './undecorate.ts';

/** How a {@link Symbolizer} looks for symbols. */
export interface SymbolizerOptions {
  /** Where to look for PDB files, as in `_NT_SYMBOL_PATH`, which is used where this is absent. */
  readonly searchPath?: string;
  /**
   * Whether to read debug information of the system's own modules, which may be large or come over the network. By
   * default only where `_NT_SYMBOL_PATH` or {@link searchPath} is set. Their exports name functions in any case.
   */
  readonly systemSymbols?: boolean;
}

/** What is known of one module, gathered when its first address is asked for. */
interface Source {
  /** Absent where the file is gone, or is not the file that was loaded. */
  readonly file: ExecutableFile | undefined;
  readonly hasDebugInformation: boolean;
}

/** Where an address lies. */
export type AddressKind =
  /** Just after a call: it belongs to the call, which ends one byte before, although the next statement begins here. */
  | 'return'
  /** An instruction that is about to run, or the beginning of a function. */
  | 'exact';

/** A function whose debug information does not tell its size is believed up to here beyond its beginning. */
const FUNCTION_SIZE_BYTES_MAX = 65_536;

/**
 * Turns addresses of a process into functions and source lines.
 *
 * Works from the files of the modules alone, so the process may have ended. Everything is remembered: the same address
 * costs a look-up. Not for several threads, for dbghelp is not.
 */
export class Symbolizer implements Disposable {
  readonly #options: SymbolizerOptions;
  /** By ascending base. */
  #modules: Module[] = [];
  readonly #sources = new Map<Module, Source>();
  readonly #frames: Record<AddressKind, Map<bigint, Frame>> = { return: new Map(), exact: new Map() };
  #dbghelp: DbghelpSession | undefined;

  constructor(modules: readonly Module[] = [], options: SymbolizerOptions = {}) {
    this.#options = options;
    this.addModules(modules);
  }

  /**
   * Adds modules: those that the process loaded later, or had unloaded by the time it was looked at. One that overlaps a
   * known one is ignored. Addresses that were resolved before stay as they are.
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

  /** The module that holds an address. */
  moduleOf(address: bigint): Module | undefined {
    const module = this.#modules[this.#indexBelow(address)];
    return module !== undefined && address < module.base + BigInt(module.sizeBytes) ? module : undefined;
  }

  /**
   * The function and the line of an address, as far as symbols allow.
   *
   * @param address unsigned; anything is allowed, and what is in no module has module `?`
   */
  resolve(address: bigint, kind: AddressKind = 'return'): Frame {
    const known = this.#frames[kind].get(address);
    if (known !== undefined) return known;
    const frame = this.#find(address, kind);
    this.#frames[kind].set(address, frame);
    return frame;
  }

  /** A whole stack of return addresses, innermost first. */
  resolveStack(addresses: Iterable<bigint>): Frame[] {
    return Array.from(addresses, (address) => this.resolve(address));
  }

  /** Gives the symbols back. Frames that were handed out stay good. */
  [Symbol.dispose](): void {
    this.#dbghelp?.[Symbol.dispose]();
    this.#dbghelp = undefined;
    for (const { file } of this.#sources.values()) file?.[Symbol.dispose]();
    this.#sources.clear();
  }

  #find(address: bigint, kind: AddressKind): Frame {
    const module = this.moduleOf(address);
    if (module === undefined) return { module: '?', offset: Number(BigInt.asUintN(64, address)) };
    // A call that never returns may be a function's last instruction: then the return address is in the next function.
    const place = kind === 'return' && address > module.base ? address - 1n : address;
    const source = (this.#sources.get(module) ?? this.#open(module));
    const found = this.#findFunction(module, source, place);
    const line = module.isSystem ? undefined : this.#findLine(source, place, Number(place - module.base));
    return {
      module: module.name,
      ...(found === undefined ? {} : { function: found.name }),
      offset: Number(address - (found?.address ?? module.base)),
      ...line,
      ...(module.isSystem ? { system: true } : {}),
    };
  }

  #findFunction(module: Module, source: Source, place: bigint): { name: string; address: bigint } | undefined {
    const rva = Number(place - module.base);
    const debug = source.hasDebugInformation ? this.#dbghelp?.findSymbol(place) : undefined;
    if (debug !== undefined && isWithin(debug, place, module, source.file)) return debug;
    const named = source.file?.symbolOf(rva);
    return named && { name: undecorate(named.name), address: module.base + BigInt(named.rva) };
  }

  /** Lines of the system's modules name files of the machine that built them: of no use to anybody. */
  #findLine(source: Source, place: bigint, rva: number): SourceLine | undefined {
    const dwarf = source.file?.lineOf(rva);
    if (dwarf !== undefined) return { file: toWindowsPath(dwarf.file), line: dwarf.line };
    return source.hasDebugInformation ? this.#dbghelp?.findLine(place) : undefined;
  }

  /** Opens the module's file and, where that may tell more, its debug information. */
  #open(module: Module): Source {
    const path = toOpenablePath(module.path);
    const opened = path === undefined ? undefined : ExecutableFile.open(path);
    // A file of another size is not the one that was loaded: it was replaced since, and its names would be false.
    const isSame = opened?.imageSizeBytes === module.sizeBytes;
    if (!isSame) opened?.[Symbol.dispose]();
    const file = isSame ? opened : undefined;
    const source = {
      file,
      hasDebugInformation:
        file !== undefined && file.hasDebugInformation && this.#wantsDebugInformation(module) && this.#load(path!, module),
    };
    this.#sources.set(module, source);
    return source;
  }

  #wantsDebugInformation(module: Module): boolean {
    if (!module.isSystem) return true;
    return this.#options.systemSymbols ?? (this.#options.searchPath ?? process.env['_NT_SYMBOL_PATH']) !== undefined;
  }

  #load(path: string, module: Module): boolean {
    this.#dbghelp ??= new DbghelpSession(this.#options.searchPath ?? null);
    return this.#dbghelp.load(path, module.base, module.sizeBytes);
  }

  /** Index of the last module whose base is at most `address`, or -1. */
  #indexBelow(address: bigint): number {
    let low = 0;
    let high = this.#modules.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.#modules[middle]!.base <= address) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }
}

/** Whether an address is in the function that dbghelp named: it names the nearest one below, whose size it may not know. */
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

/**
 * The path of a file on a drive or share; `undefined` for anything else. The path comes from the target: to open a pipe
 * or a device in its name could block.
 */
function toOpenablePath(path: string): string | undefined {
  const plain = path.replace(/^\\\?\?\\|^\\\\\?\\/, '');
  return /^[a-z]:\\[^:]*$/i.test(plain) || /^\\\\[^.?\\][^\\:]*\\[^:]+$/.test(plain) ? plain : undefined;
}

/**
 * A compiler's path as Windows spells it. A program that was built on the machine that Wine runs on names its sources as
 * that machine does; Wine shows its root as drive Z:.
 */
function toWindowsPath(path: string): string {
  if (isWine && path.startsWith('/')) return win32.normalize(`Z:${path}`);
  return /^[a-z]:[\\/]/i.test(path) ? win32.normalize(path) : path;
}
