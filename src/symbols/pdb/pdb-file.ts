import { BlockFile, scatteredKeeping } from '../block-file.ts';
import { spellPdbId } from '../debug-files.ts';
import { ignoreDamage } from '../dwarf/byte-cursor.ts';
import type { SourceLine } from '../dwarf/lines.ts';
import { MemoryBudget } from '../memory-budget.ts';
import { type PdbLayout, type PdbModuleInfo, readLayout } from './dbi.ts';
import { FunctionNames } from './function-names.ts';
import { readInfo } from './info.ts';
import { type InlineSite, type InlineSites, noSites, readInlineSites } from './inline-sites.ts';
import { ModuleLines, type PdbLine } from './module-lines.ts';
import { openStreams, type PdbStream, type PdbStreams, type ReadFile, readText } from './msf.ts';
import { type PdbProcedure, Procedures } from './procedures.ts';
import { findPublic } from './publics.ts';
import { openTypes, type TypeRecords } from './types.ts';

/** The function that holds an address, with its namespaces and classes. */
export interface PdbFunction {
  readonly name: string;
  /** Where it begins; relative to the image. */
  readonly begin: number;
  /** The line in it that the address belongs to. */
  readonly line?: SourceLine;
  /** The functions that were inlined at the address, the innermost first, each with the line in it. */
  readonly inlined: readonly { readonly name: string; readonly line?: SourceLine }[];
}

const PDB_STREAM = 1;
const TYPE_STREAM = 2;
const MODULE_STREAM = 3;
const ID_STREAM = 4;
/** u32 signature, u32 version, u32 size; then the names */
const NAMES_AT = 12;
/** No compiler nests as many. */
const INLINED_DEPTH_MAX = 64;
/** The largest that a linker writes: 2^20 blocks of 4 KiB, or larger blocks beyond that. */
export const PDB_SIZE_BYTES_MAX: number = 2 ** 35;

/** The symbols and lines of one object file. */
interface ModuleSymbols {
  readonly stream: PdbStream;
  readonly procedures: Procedures;
  readonly lines: ModuleLines;
  /** The inlined functions, by where the function around them begins. */
  readonly sites: Map<number, InlineSites>;
}

/**
 * The functions of a PDB, with their lines and what was inlined into them.
 *
 * We read PDB ourselves, so that names are the same on every system. Wine's dbghelp knows inlined functions by their
 * bare names only, crashes at some files, and may not be called from two threads.
 *
 * Everything is read for the first address that needs it, and counted against a budget. A damaged part has no names;
 * nothing throws. https://llvm.org/docs/PDB/
 */
export class PdbFile implements Disposable {
  /** Its GUID and its age, in hexadecimal digits: a symbol server knows it by this name. */
  readonly id: string;
  readonly #streams: PdbStreams;
  readonly #budget: MemoryBudget;
  readonly #layout: PdbLayout;
  readonly #names: PdbStream | undefined;
  readonly #modules = new Map<PdbModuleInfo, ModuleSymbols | undefined>();
  readonly #files = new Map<number, string | undefined>();
  #functionNames: FunctionNames | undefined;
  readonly #close: () => void;

  private constructor(
    id: string,
    streams: PdbStreams,
    layout: PdbLayout,
    names: PdbStream | undefined,
    source: Source,
  ) {
    this.id = id;
    this.#streams = streams;
    this.#layout = layout;
    this.#names = names;
    this.#budget = source.budget;
    this.#close = source.close;
  }

  /**
   * Reads an open file; `undefined` when it cannot be read, is no PDB, or one of another version.
   *
   * @param descriptor is closed with this object, or at once where there is none
   * @param budget what may be kept of it, and of other files
   */
  static fromDescriptor(descriptor: number, budget: MemoryBudget = new MemoryBudget()): PdbFile | undefined {
    const blocks = new BlockFile(descriptor, budget, scatteredKeeping);
    const close = (): void => blocks[Symbol.dispose]();
    const file = PdbFile.#open({ read: (offset, sizeBytes) => blocks.read(offset, sizeBytes), close, budget });
    if (file === undefined) close();
    return file;
  }

  /** The same for a file that is in memory. */
  static fromBytes(bytes: Buffer, budget: MemoryBudget = new MemoryBudget()): PdbFile | undefined {
    const read: ReadFile = (offset, sizeBytes) =>
      offset + sizeBytes <= bytes.length ? bytes.subarray(offset, offset + sizeBytes) : undefined;
    return PdbFile.#open({ read, close: () => undefined, budget });
  }

  static #open(source: Source): PdbFile | undefined {
    let file: PdbFile | undefined;
    ignoreDamage(() => {
      const streams = openStreams(source.read, source.budget);
      const [info, modules] = [streams?.(PDB_STREAM), streams?.(MODULE_STREAM)];
      if (streams === undefined || info === undefined || modules === undefined) return;
      const about = readInfo(info);
      const layout = about && readLayout(modules, streams, source.budget);
      if (about === undefined || layout === undefined) return;
      const namesNumber = about.namedStreams.get('/names');
      const names = namesNumber === undefined ? undefined : streams(namesNumber);
      file = new PdbFile(spellPdbId(about.guid, layout.age), streams, layout, names, source);
    });
    return file;
  }

  /**
   * The function that holds an address, by the symbols of its object file; `undefined` where it has none for it.
   *
   * @param rva relative to the image
   */
  find(rva: number): PdbFunction | undefined {
    const symbols = this.#symbolsAt(rva);
    const procedure = symbols && attempt(() => symbols.procedures.find(rva));
    if (symbols === undefined || procedure === undefined) return undefined;
    const line = this.#lineIn(symbols, rva);
    return {
      name: procedure.name,
      begin: procedure.begin,
      inlined: this.#inlinedAt(symbols, procedure, rva),
      ...(line && { line }),
    };
  }

  /**
   * The nearest public symbol at an address or below, decorated: the address may lie behind its function.
   *
   * @param rva relative to the image
   */
  publicAt(rva: number): { readonly name: string; readonly begin: number } | undefined {
    return attempt(() => findPublic(this.#layout, rva));
  }

  /** The line of an address, whether its function is known or not. */
  lineOf(rva: number): SourceLine | undefined {
    const symbols = this.#symbolsAt(rva);
    return symbols && this.#lineIn(symbols, rva);
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #symbolsAt(rva: number): ModuleSymbols | undefined {
    const module = this.#layout.moduleAt(rva);
    const { stream } = module ?? {};
    if (module === undefined || stream === undefined) return undefined;
    if (this.#modules.has(module)) return this.#modules.get(module);
    const procedures = new Procedures(stream, module, this.#layout.toRva, this.#budget);
    const lines = new ModuleLines(stream, module, this.#layout.toRva, this.#budget);
    ignoreDamage(() => procedures.read());
    ignoreDamage(() => lines.read());
    const symbols = { stream, procedures, lines, sites: new Map() };
    this.#modules.set(module, symbols);
    return symbols;
  }

  #inlinedAt(symbols: ModuleSymbols, procedure: PdbProcedure, rva: number): PdbFunction['inlined'] {
    let sites = symbols.sites.get(procedure.begin);
    if (sites === undefined) {
      sites = attempt(() => readInlineSites(symbols.stream, procedure, this.#budget)) ?? noSites;
      symbols.sites.set(procedure.begin, sites);
    }
    const inlined: { readonly name: string; readonly line?: SourceLine }[] = [];
    for (let depth = 0; depth < INLINED_DEPTH_MAX; depth++) {
      const site: InlineSite | undefined = sites.find(rva)?.value;
      if (site === undefined) break;
      const name = this.#nameOf(site.inlinee);
      const line = this.#lineOfSite(symbols, site, rva);
      if (name !== undefined) inlined.unshift({ name, ...(line && { line }) });
      sites = site.inner;
    }
    return inlined;
  }

  #lineOfSite({ lines }: ModuleSymbols, { inlinee, rows }: InlineSite, rva: number): SourceLine | undefined {
    const begin = attempt(() => lines.inlinee(inlinee));
    const row = rows.find(rva)?.value;
    if (begin === undefined || row === undefined) return undefined;
    return this.#spellLine(lines, { file: row.file ?? begin.file, line: begin.line + row.lineDelta });
  }

  #lineIn({ lines }: ModuleSymbols, rva: number): SourceLine | undefined {
    const line = attempt(() => lines.find(rva));
    return line && this.#spellLine(lines, line);
  }

  #spellLine(lines: ModuleLines, { file, line }: PdbLine): SourceLine | undefined {
    const name = attempt(() => this.#fileAt(lines.nameAt(file)));
    return name === undefined || !(line > 0 && line < 2 ** 24) ? undefined : { file: name, line };
  }

  /** The path of a file, by where it stands in the table of names. */
  #fileAt(offset: number): string | undefined {
    if (this.#names === undefined) return undefined;
    if (this.#files.has(offset)) return this.#files.get(offset);
    const path = readText(this.#names, NAMES_AT + offset) || undefined;
    this.#budget.spend(100 + 2 * (path?.length ?? 0));
    this.#files.set(offset, path);
    return path;
  }

  #nameOf(id: number): string | undefined {
    this.#functionNames ??= new FunctionNames(this.#typesOf(TYPE_STREAM), this.#typesOf(ID_STREAM), this.#budget);
    const names = this.#functionNames;
    return attempt(() => names.of(id));
  }

  #typesOf(number: number): TypeRecords {
    const stream = this.#streams(number);
    return (stream && attempt(() => openTypes(stream, this.#streams, this.#budget))) ?? (() => undefined);
  }
}

interface Source {
  readonly read: ReadFile;
  readonly close: () => void;
  readonly budget: MemoryBudget;
}

/** The result of reading a part; `undefined` where that is damaged, or finds no room in memory. */
function attempt<Result>(read: () => Result): Result | undefined {
  let result: Result | undefined;
  ignoreDamage(() => {
    result = read();
  });
  return result;
}
