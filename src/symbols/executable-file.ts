import { BlockFile, TABLE_SIZE_BYTES_MAX } from './block-file.ts';
import { type CodeSymbol, type CodeSymbols, nearer, noSymbols } from './code-symbols.ts';
import { type DebugFiles, findPdbReference, type PdbReference } from './debug-files.ts';
import { inflateSection } from './dwarf/compressed-section.ts';
import { type DwarfFunction, DwarfFunctions } from './dwarf/functions.ts';
import { DwarfLines, type SourceLine } from './dwarf/lines.ts';
import { DwarfUnits } from './dwarf/units.ts';
import { FunctionTable } from './function-table.ts';
import { GoFunctions } from './go/functions.ts';
import { MemoryBudget } from './memory-budget.ts';
import {
  COFF_SYMBOL_SIZE_BYTES,
  coffSymbols,
  type ExportTables,
  exportedSymbols,
  exportsName,
  readName,
} from './name-tables.ts';

/** Reads a part of a file; `undefined` where the file ends before it does. */
type Read = (offset: number, sizeBytes: number) => Buffer | undefined;

interface Source {
  readonly read: Read;
  readonly close: () => void;
  readonly budget: MemoryBudget;
}

interface Section {
  readonly rva: number;
  readonly virtualSizeBytes: number;
  readonly fileOffset: number;
  readonly fileSizeBytes: number;
  readonly isCode: boolean;
  readonly name: string;
}

const IMAGE_FILE_MACHINE_AMD64 = 0x8664;
const PE32_PLUS = 0x20b;
const IMAGE_SCN_MEM_EXECUTE = 0x2000_0000;
const EXPORTS = 0;
const EXPORT_DIRECTORY_SIZE_BYTES = 40;
const EXCEPTIONS = 3;
const DEBUG = 6;
const CLR_HEADER = 14;
const SECTIONS_MAX = 512;
const NAMES_MAX = 1 << 20;
/** Code without unwind data counts as part of the nearest symbol up to this distance. */
const LEAF_SIZE_BYTES_MAX = 4096;

/**
 * The names and places of functions in a 64-bit executable file: its exports, the functions of its COFF symbol table
 * (MinGW keeps one, even without debug information), its DWARF, and its unwind data.
 *
 * Every table is read when it is first needed. Lengths and offsets in the file may be anything: a table that is damaged
 * is short or empty, and nothing throws.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 */
export class ExecutableFile implements Disposable {
  readonly imageSizeBytes: number;
  /** Where the linker meant the image to be. */
  readonly #imageBase: number;
  readonly #budget: MemoryBudget;
  readonly #read: Read;
  readonly #close: () => void;
  readonly #header: Buffer;
  readonly #sections: readonly Section[];
  readonly #coffOffset: number;
  readonly #coffCount: number;
  #exports: CodeSymbols | undefined;
  #coffFunctions: CodeSymbols | undefined;
  #units: DwarfUnits | undefined;
  #lines: DwarfLines | undefined;
  #dwarfFunctions: DwarfFunctions | undefined;
  /** Absent until they were looked for. */
  #goFunctions: [GoFunctions | undefined] | undefined;
  #functions: FunctionTable | undefined;

  private constructor(source: Source, header: Buffer, sections: readonly Section[]) {
    this.#budget = source.budget;
    this.#read = source.read;
    this.#close = source.close;
    this.#header = header;
    this.#sections = sections;
    this.#coffOffset = header.readUInt32LE(12); // DWORD FileHeader.PointerToSymbolTable
    // DWORD NumberOfSymbols
    this.#coffCount = Math.min(header.readUInt32LE(16), TABLE_SIZE_BYTES_MAX / COFF_SYMBOL_SIZE_BYTES);
    this.#imageBase = Number(header.readBigUInt64LE(24 + 24)); // ULONGLONG OptionalHeader.ImageBase
    this.imageSizeBytes = header.readUInt32LE(24 + 56); // DWORD OptionalHeader.SizeOfImage
  }

  /**
   * Reads an open file; `undefined` when it cannot be read, or is no 64-bit executable.
   *
   * @param descriptor is closed with this object, or at once where there is none
   * @param budget what may be kept of it, and of other files
   */
  static fromDescriptor(descriptor: number, budget: MemoryBudget = new MemoryBudget()): ExecutableFile | undefined {
    const blocks = new BlockFile(descriptor, budget);
    const file = ExecutableFile.#parse({
      read: (offset, sizeBytes) => blocks.read(offset, sizeBytes),
      close: () => blocks[Symbol.dispose](),
      budget,
    });
    if (file === undefined) blocks[Symbol.dispose]();
    return file;
  }

  /** The same for a file that is in memory. */
  static fromBytes(bytes: Buffer, budget: MemoryBudget = new MemoryBudget()): ExecutableFile | undefined {
    const read: Read = (offset, sizeBytes) =>
      offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= bytes.length
        ? bytes.subarray(offset, offset + sizeBytes)
        : undefined;
    return ExecutableFile.#parse({ read, close: () => undefined, budget });
  }

  static #parse(source: Source): ExecutableFile | undefined {
    const { read } = source;
    const dos = read(0, 64);
    if (dos === undefined || dos.toString('latin1', 0, 2) !== 'MZ') return undefined;
    const headerOffset = dos.readUInt32LE(60); // LONG e_lfanew
    // DWORD Signature, IMAGE_FILE_HEADER (20 bytes), IMAGE_OPTIONAL_HEADER64 (240 bytes with its 16 directories)
    const header = read(headerOffset, 4 + 20 + 240);
    if (header === undefined || header.toString('latin1', 0, 4) !== 'PE\0\0') return undefined;
    if (header.readUInt16LE(4) !== IMAGE_FILE_MACHINE_AMD64 || header.readUInt16LE(24) !== PE32_PLUS) return undefined;
    const sectionCount = Math.min(header.readUInt16LE(6), SECTIONS_MAX); // WORD NumberOfSections
    const sectionsOffset = headerOffset + 24 + header.readUInt16LE(20); // WORD SizeOfOptionalHeader
    const table = read(sectionsOffset, sectionCount * 40);
    if (table === undefined) return undefined;
    const sections = Array.from({ length: sectionCount }, (_, i): Section => {
      const at = i * 40;
      return {
        name: table.toString('latin1', at, at + 8).replace(/\0.*$/s, ''),
        virtualSizeBytes: table.readUInt32LE(at + 8),
        rva: table.readUInt32LE(at + 12),
        fileSizeBytes: table.readUInt32LE(at + 16),
        fileOffset: table.readUInt32LE(at + 20),
        isCode: (table.readUInt32LE(at + 36) & IMAGE_SCN_MEM_EXECUTE) !== 0,
      };
    });
    return new ExecutableFile(source, header, sections);
  }

  /** The PDB that the file names. */
  get pdb(): PdbReference | undefined {
    const { rva, sizeBytes } = this.#directory(DEBUG);
    return findPdbReference(this.#readAt(rva, Math.min(sizeBytes, 4096)), this.#read);
  }

  /** Where the file's debug information is. */
  debugFiles(): DebugFiles {
    const link = readName(this.#section('.gnu_debuglink'), 0);
    return {
      pdb: this.pdb,
      link: link === '' ? undefined : link,
      hasDwarf: (this.#findSection('.debug_info') ?? this.#findSection('.zdebug_info')) !== undefined,
      isManaged: this.#directory(CLR_HEADER).rva !== 0,
    };
  }

  /** Reads the tables of names, one in each step. Otherwise {@link symbolOf} reads them at its first call. */
  *readAhead(): Generator<void> {
    this.functionAt(0);
    yield;
    this.#nearest(0, 'exports');
    yield;
    this.#nearest(0, 'all');
    yield;
  }

  /**
   * The symbol of the function that holds an address; `undefined` where no symbol is certain to be its name.
   *
   * Most functions have no symbol, so the nearest symbol below an address often belongs to another function. The file's
   * unwind data must place both in the same function. Code without unwind data calls nothing: it counts as part of the
   * nearest symbol if that is at most 4 KiB away and no other function begins between them.
   */
  symbolOf(rva: number): CodeSymbol | undefined {
    const found = this.functionAt(rva);
    // Most functions of the system's DLLs on a stack are exports, and the other symbols are ten times as many.
    if (found !== undefined)
      return this.#nameWithin('exports', found.begin, rva) ?? this.#nameWithin('all', found.begin, rva);
    const nearest = this.#nearest(rva, 'all');
    if (nearest === undefined || rva - nearest.rva >= LEAF_SIZE_BYTES_MAX || this.functionAt(nearest.rva) !== undefined)
      return undefined;
    const previous = this.#unwindTable.atOrBelow(rva);
    return previous === undefined || previous.begin < nearest.rva ? nearest : undefined;
  }

  /** Whether the file exports this name, of a function or of data. */
  exports(name: string): boolean {
    const tables = this.#readExportTables();
    return tables !== undefined && exportsName(tables, name);
  }

  /**
   * The nearest of some symbols in the function of `rva`.
   *
   * @param begin where the first part of that function begins
   */
  #nameWithin(which: 'exports' | 'all', begin: number, rva: number): CodeSymbol | undefined {
    const nearest = this.#nearest(rva, which);
    if (nearest === undefined) return undefined;
    if (this.functionAt(nearest.rva)?.begin === begin) return nearest;
    // This part lies apart from the beginning of its function, which has the name.
    const first = this.#nearest(begin, which);
    return first?.rva === begin ? first : undefined;
  }

  /** Whether an address is in a section of code. */
  isCode(rva: number): boolean {
    return this.#sectionOf(rva)?.isCode === true;
  }

  /** The source line of an address, from the file's DWARF; `undefined` where it has none for it. */
  lineOf(rva: number): SourceLine | undefined {
    return this.#dwarfLines().find(rva);
  }

  /**
   * The function that holds an address and what was inlined there, from the file's DWARF; `undefined` where it has none
   * for it.
   */
  dwarfFunctionOf(rva: number): DwarfFunction | undefined {
    this.#dwarfFunctions ??= new DwarfFunctions(this.#dwarfUnits(), this.#dwarfLines(), this.#imageBase);
    return this.#dwarfFunctions.find(rva);
  }

  /** The functions of Go, from the table that every Go program has; `undefined` in any other program. */
  get goFunctions(): GoFunctions | undefined {
    this.#goFunctions ??= [this.#findGoFunctions()];
    return this.#goFunctions[0];
  }

  #findGoFunctions(): GoFunctions | undefined {
    const image = {
      imageBase: this.#imageBase,
      sections: this.#sections,
      read: this.#read,
      readAt: (rva: number, sizeBytes: number) => this.#readAt(rva, sizeBytes),
    };
    return GoFunctions.find(image, this.#budget);
  }

  #dwarfLines(): DwarfLines {
    return (this.#lines ??= new DwarfLines(this.#dwarfUnits(), this.#imageBase));
  }

  #dwarfUnits(): DwarfUnits {
    const lowAddressOf = (name: string): number => (this.#imageBase + (this.#findSection(name)?.rva ?? 0)) % 2 ** 32;
    return (this.#units ??= new DwarfUnits(
      {
        line: this.#section('.debug_line'),
        lineStrings: this.#section('.debug_line_str'),
        strings: this.#section('.debug_str'),
        info: this.#section('.debug_info'),
        abbreviations: this.#section('.debug_abbrev'),
        stringOffsets: this.#section('.debug_str_offsets'),
        addresses: this.#section('.debug_addr'),
        ranges: this.#section('.debug_ranges'),
        rangeLists: this.#section('.debug_rnglists'),
        stringsAddress: lowAddressOf('.debug_str'),
        lineStringsAddress: lowAddressOf('.debug_line_str'),
      },
      this.#budget,
    ));
  }

  /**
   * The function that holds an address, by its unwind data: `begin` is where its first part begins, however many parts
   * it is in. `undefined` for code without unwind data.
   */
  functionAt(rva: number): { readonly begin: number } | undefined {
    return this.#unwindTable.functionAt(rva);
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  get #unwindTable(): FunctionTable {
    if (this.#functions === undefined) {
      const { rva, sizeBytes } = this.#directory(EXCEPTIONS);
      const entries = this.#readAt(rva, sizeBytes) ?? Buffer.alloc(0);
      this.#functions = new FunctionTable(entries, (at, length) => this.#readAt(at, length));
    }
    return this.#functions;
  }

  /** The nearest symbol below an address, among the exports alone or among all. */
  #nearest(rva: number, which: 'exports' | 'all'): CodeSymbol | undefined {
    const exported = (this.#exports ??= this.#readExports()).atOrBelow(rva);
    return which === 'exports'
      ? exported
      : nearer(exported, (this.#coffFunctions ??= this.#readCoffFunctions()).atOrBelow(rva));
  }

  #readExports(): CodeSymbols {
    const tables = this.#readExportTables();
    if (tables === undefined) return noSymbols;
    return exportedSymbols(tables, (rva) => this.isCode(rva));
  }

  #readExportTables(): ExportTables | undefined {
    const { rva: directoryRva, sizeBytes } = this.#directory(EXPORTS);
    const directory = this.#readAt(directoryRva, Math.min(sizeBytes, TABLE_SIZE_BYTES_MAX));
    if (directory === undefined || directory.length < EXPORT_DIRECTORY_SIZE_BYTES) return undefined;
    const functionCount = Math.min(directory.readUInt32LE(20), NAMES_MAX); // DWORD NumberOfFunctions
    const nameCount = Math.min(directory.readUInt32LE(24), NAMES_MAX); // DWORD NumberOfNames
    const functions = this.#readAt(directory.readUInt32LE(28), functionCount * 4); // DWORD AddressOfFunctions
    const names = this.#readAt(directory.readUInt32LE(32), nameCount * 4); // DWORD AddressOfNames
    const ordinals = this.#readAt(directory.readUInt32LE(36), nameCount * 2); // DWORD AddressOfNameOrdinals
    if (functions === undefined || names === undefined || ordinals === undefined) return undefined;
    return { directory, directoryRva, functions, names, ordinals };
  }

  #readCoffFunctions(): CodeSymbols {
    if (this.#coffCount === 0) return noSymbols;
    const table = this.#read(this.#coffOffset, this.#coffCount * COFF_SYMBOL_SIZE_BYTES);
    if (table === undefined) return noSymbols;
    const stringsOffset = this.#coffOffset + table.length;
    const stringsSizeBytes = this.#read(stringsOffset, 4)?.readUInt32LE(0) ?? 0;
    const strings = this.#read(stringsOffset, stringsSizeBytes) ?? Buffer.alloc(0);
    return coffSymbols(
      table,
      strings,
      this.#sections.map(({ isCode, rva }) => (isCode ? rva : undefined)),
    );
  }

  /** The contents of a debug section; empty where the file has none of that name, compressed or not. */
  #section(name: string): Buffer {
    const compressed = this.#findSection(name.replace('.', '.z'));
    const section = this.#findSection(name) ?? compressed;
    if (section === undefined) return Buffer.alloc(0);
    // The linker pads the section in the file to whole sectors.
    const sizeBytes = Math.min(section.virtualSizeBytes, section.fileSizeBytes);
    const contents = this.#read(section.fileOffset, sizeBytes) ?? Buffer.alloc(0);
    return section === compressed ? inflateSection(contents, this.#budget) : contents;
  }

  #findSection(name: string): Section | undefined {
    return this.#sections.find((candidate) => this.#nameOf(candidate) === name);
  }

  /** A name of more than eight bytes is in the string table behind the symbols: `/4` is at its byte 4. */
  #nameOf(section: Section): string {
    const long = /^\/(\d+)$/.exec(section.name);
    if (long === null) return section.name;
    const text = this.#read(this.#coffOffset + this.#coffCount * COFF_SYMBOL_SIZE_BYTES + Number(long[1]), 32);
    return text === undefined ? '' : readName(text, 0);
  }

  #directory(index: number): { rva: number; sizeBytes: number } {
    // IMAGE_OPTIONAL_HEADER64: +108 DWORD NumberOfRvaAndSizes, +112 IMAGE_DATA_DIRECTORY[16]
    if (index >= this.#header.readUInt32LE(24 + 108)) return { rva: 0, sizeBytes: 0 };
    const at = 24 + 112 + index * 8;
    return { rva: this.#header.readUInt32LE(at), sizeBytes: this.#header.readUInt32LE(at + 4) };
  }

  #sectionOf(rva: number): Section | undefined {
    return this.#sections.find((section) => isIn(section, rva));
  }

  #readAt(rva: number, sizeBytes: number): Buffer | undefined {
    if (rva === 0) return undefined;
    const section = this.#sectionOf(rva);
    if (section === undefined || rva - section.rva + sizeBytes > section.fileSizeBytes) return undefined;
    return this.#read(section.fileOffset + rva - section.rva, sizeBytes);
  }
}

function isIn({ rva: start, virtualSizeBytes, fileSizeBytes }: Section, rva: number): boolean {
  return rva >= start && rva < start + Math.max(virtualSizeBytes, fileSizeBytes);
}
