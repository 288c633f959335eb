import { BlockFile, TABLE_SIZE_BYTES_MAX } from './block-file.ts';
import { type CodeSymbol, CodeSymbols, lastAtOrBelow } from './code-symbols.ts';
import { type DwarfFunction, DwarfFunctions } from './dwarf-functions.ts';
import { DwarfLines, type SourceLine } from './dwarf-lines.ts';
import { DwarfUnits } from './dwarf-units.ts';

/** Where to read what of a file; `undefined` where the file ends before it. */
type Read = (offset: number, sizeBytes: number) => Buffer | undefined;

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
const EXCEPTIONS = 3;
const DEBUG = 6;
const IMAGE_DEBUG_TYPE_CODEVIEW = 2;
/** CV_INFO_PDB70: DWORD CvSignature 'RSDS', GUID Signature, DWORD Age, BYTE PdbFileName[] */
const PDB_PATH_OFFSET = 24;
const IMAGE_SYM_DTYPE_FUNCTION = 0x20;
const UNW_FLAG_CHAININFO = 4;
const RUNTIME_FUNCTION_SIZE_BYTES = 12;
const COFF_SYMBOL_SIZE_BYTES = 18;
const SECTIONS_MAX = 512;
const NAMES_MAX = 1 << 20;
const CHAIN_LENGTH_MAX = 32;
/** How far from a symbol code without unwind data may be to be thought part of it. */
const LEAF_SIZE_BYTES_MAX = 4096;

/**
 * What a 64-bit executable file says of its own code: the names it exports, the functions of its COFF symbol table
 * (MinGW keeps one, even where there is no debug information), and where functions begin and end.
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
  readonly #read: Read;
  readonly #close: () => void;
  readonly #header: Buffer;
  readonly #sections: readonly Section[];
  readonly #coffOffset: number;
  readonly #coffCount: number;
  #exportedPlaces: NamedPlaces | undefined;
  #exportedSymbols: CodeSymbols | undefined;
  #allSymbols: CodeSymbols | undefined;
  #units: DwarfUnits | undefined;
  #lines: DwarfLines | undefined;
  #dwarfFunctions: DwarfFunctions | undefined;
  #functions: Buffer | undefined;

  private constructor(read: Read, close: () => void, header: Buffer, sections: readonly Section[]) {
    this.#read = read;
    this.#close = close;
    this.#header = header;
    this.#sections = sections;
    this.#coffOffset = header.readUInt32LE(12); // DWORD FileHeader.PointerToSymbolTable
    this.#coffCount = Math.min(header.readUInt32LE(16), TABLE_SIZE_BYTES_MAX / COFF_SYMBOL_SIZE_BYTES); // DWORD NumberOfSymbols
    this.#imageBase = Number(header.readBigUInt64LE(24 + 24)); // ULONGLONG OptionalHeader.ImageBase
    this.imageSizeBytes = header.readUInt32LE(24 + 56); // DWORD OptionalHeader.SizeOfImage
  }

  /** Opens a file; `undefined` when it cannot be read or is no 64-bit executable. */
  static open(path: string): ExecutableFile | undefined {
    const source = BlockFile.open(path);
    if (source === undefined) return undefined;
    const file = ExecutableFile.#parse((offset, sizeBytes) => source.read(offset, sizeBytes), () => source[Symbol.dispose]());
    if (file === undefined) source[Symbol.dispose]();
    return file;
  }

  /** The same for a file that is in memory. */
  static fromBytes(bytes: Buffer): ExecutableFile | undefined {
    const read: Read = (offset, sizeBytes) =>
      offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= bytes.length ? bytes.subarray(offset, offset + sizeBytes) : undefined;
    return ExecutableFile.#parse(read, () => undefined);
  }

  static #parse(read: Read, close: () => void): ExecutableFile | undefined {
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
    return new ExecutableFile(read, close, header, sections);
  }

  /**
   * Whether the file names a PDB that holds its debug information. lld puts a record for one into programs with DWARF too, as
   * a build id, with an empty name: at these Wine 8's dbghelp reads beyond its memory, and half of the times crashes.
   */
  get namesPdb(): boolean {
    const { rva, sizeBytes } = this.#directory(DEBUG);
    const entries = this.#readAt(rva, Math.min(sizeBytes, 4096));
    // IMAGE_DEBUG_DIRECTORY: 28 bytes, +12 DWORD Type, +16 SizeOfData, +24 PointerToRawData
    for (let at = 0; entries !== undefined && at + 28 <= entries.length; at += 28) {
      if (entries.readUInt32LE(at + 12) !== IMAGE_DEBUG_TYPE_CODEVIEW) continue;
      const record = this.#read(entries.readUInt32LE(at + 24), Math.min(entries.readUInt32LE(at + 16), 1024));
      if (record === undefined || record.length <= PDB_PATH_OFFSET || record.toString('latin1', 0, 4) !== 'RSDS') continue;
      if (record[PDB_PATH_OFFSET] !== 0) return true;
    }
    return false;
  }

  /** Reads what names are taken from, which {@link symbolOf} would do when first asked. */
  readAhead(): void {
    for (const symbols of [this.#exports(), this.#symbols()]) symbols.atOrBelow(0);
    this.functionAt(0);
  }

  /**
   * The symbol of the function that holds an address; `undefined` where no symbol can be said to be its name.
   *
   * The nearest symbol below an address often belongs to another function, for most functions have no symbol. So the
   * two have to be in the same function by the file's unwind data; code without any, which calls nothing, counts as
   * part of the nearest symbol if no other function begins between them and it is at most 4 KiB away.
   */
  symbolOf(rva: number): CodeSymbol | undefined {
    const found = this.functionAt(rva);
    if (found !== undefined) return this.#nameWithin(this.#exports(), found.begin, rva) ?? this.#nameWithin(this.#symbols(), found.begin, rva);
    const nearest = this.#symbols().atOrBelow(rva);
    if (nearest === undefined || rva - nearest.rva >= LEAF_SIZE_BYTES_MAX || this.functionAt(nearest.rva) !== undefined) return undefined;
    const previous = this.#entryAtOrBelow(rva);
    return previous === undefined || previous.begin < nearest.rva ? nearest : undefined;
  }

  /** The nearest of some symbols that is in the same function as `rva`, all parts of which belong to the one that starts at `begin`. */
  #nameWithin(symbols: CodeSymbols, begin: number, rva: number): CodeSymbol | undefined {
    const nearest = symbols.atOrBelow(rva);
    if (nearest === undefined) return undefined;
    if (this.functionAt(nearest.rva)?.begin === begin) return nearest;
    // A part of a function that lies apart from its beginning: the name is the beginning's.
    const first = symbols.atOrBelow(begin);
    return first?.rva === begin ? first : undefined;
  }

  /** The source line of an address, from the file's DWARF; `undefined` where it has none for it. */
  lineOf(rva: number): SourceLine | undefined {
    return this.#dwarfLines().find(rva);
  }

  /** The function that holds an address and what was inlined there, from the file's DWARF; `undefined` where it has none for it. */
  dwarfFunctionOf(rva: number): DwarfFunction | undefined {
    this.#dwarfFunctions ??= new DwarfFunctions(this.#dwarfUnits(), this.#dwarfLines(), this.#imageBase);
    return this.#dwarfFunctions.find(rva);
  }

  #dwarfLines(): DwarfLines {
    return (this.#lines ??= new DwarfLines(this.#dwarfUnits(), this.#imageBase));
  }

  #dwarfUnits(): DwarfUnits {
    const lowAddressOf = (name: string): number => (this.#imageBase + (this.#findSection(name)?.rva ?? 0)) % 2 ** 32;
    return (this.#units ??= new DwarfUnits({
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
    }));
  }

  /**
   * The function that holds an address, by its unwind data: `begin` is where its first part begins, however many parts
   * it is in. `undefined` for code without unwind data.
   *
   * https://learn.microsoft.com/cpp/build/exception-handling-x64#chained-unwind-info-structures
   */
  functionAt(rva: number): { readonly begin: number } | undefined {
    const entry = this.#entryAtOrBelow(rva);
    if (entry === undefined || rva >= entry.end) return undefined;
    let { begin, unwind } = entry;
    for (let length = 0; length < CHAIN_LENGTH_MAX; length++) {
      let next: Buffer | undefined;
      if ((unwind & 1) !== 0) {
        next = this.#readAt(unwind - 1, RUNTIME_FUNCTION_SIZE_BYTES); // RUNTIME_FUNCTION_INDIRECT
      } else {
        const info = this.#readAt(unwind, 4); // UBYTE Version:3, Flags:5 · SizeOfProlog · CountOfCodes · frame
        if (info === undefined || ((info[0]! >> 3) & UNW_FLAG_CHAININFO) === 0) break;
        // The codes are padded to an even number; the entry that this one continues follows them.
        next = this.#readAt(unwind + 4 + ((info[2]! + 1) & ~1) * 2, RUNTIME_FUNCTION_SIZE_BYTES);
      }
      if (next === undefined) break;
      begin = next.readUInt32LE(0);
      unwind = next.readUInt32LE(8);
    }
    return { begin };
  }

  [Symbol.dispose](): void {
    this.#close();
  }

  #entryAtOrBelow(rva: number): { begin: number; end: number; unwind: number } | undefined {
    const table = (this.#functions ??= this.#readFunctionTable());
    const count = Math.floor(table.length / RUNTIME_FUNCTION_SIZE_BYTES);
    const index = lastAtOrBelow(count, (i) => table.readUInt32LE(i * RUNTIME_FUNCTION_SIZE_BYTES), rva);
    if (index < 0) return undefined;
    const at = index * RUNTIME_FUNCTION_SIZE_BYTES; // RUNTIME_FUNCTION: +0 BeginAddress, +4 EndAddress, +8 UnwindData
    return { begin: table.readUInt32LE(at), end: table.readUInt32LE(at + 4), unwind: table.readUInt32LE(at + 8) };
  }

  #readFunctionTable(): Buffer {
    const { rva, sizeBytes } = this.#directory(EXCEPTIONS);
    return this.#readAt(rva, sizeBytes) ?? Buffer.alloc(0);
  }

  /** Exports alone: of the system's DLLs most functions on a stack are exported, and their other symbols are ten times as many. */
  #exports(): CodeSymbols {
    return (this.#exportedSymbols ??= collect(this.#exportTable()));
  }

  /** Exports and COFF functions. */
  #symbols(): CodeSymbols {
    return (this.#allSymbols ??= collect(this.#exportTable(), this.#readCoffFunctions()));
  }

  #exportTable(): NamedPlaces {
    return (this.#exportedPlaces ??= this.#readExports());
  }

  #readExports(): NamedPlaces {
    const { rva, sizeBytes } = this.#directory(EXPORTS);
    const directory = this.#readAt(rva, 40); // IMAGE_EXPORT_DIRECTORY
    const all = this.#readAt(rva, Math.min(sizeBytes, TABLE_SIZE_BYTES_MAX));
    if (directory === undefined || all === undefined) return noPlaces;
    const functionCount = Math.min(directory.readUInt32LE(20), NAMES_MAX); // DWORD NumberOfFunctions
    const nameCount = Math.min(directory.readUInt32LE(24), NAMES_MAX); // DWORD NumberOfNames
    const functions = this.#readAt(directory.readUInt32LE(28), functionCount * 4); // DWORD AddressOfFunctions
    const names = this.#readAt(directory.readUInt32LE(32), nameCount * 4); // DWORD AddressOfNames
    const ordinals = this.#readAt(directory.readUInt32LE(36), nameCount * 2); // DWORD AddressOfNameOrdinals
    if (functions === undefined || names === undefined || ordinals === undefined) return noPlaces;
    const code = this.#sections.filter(({ isCode }) => isCode);
    return {
      forEach(note) {
        for (let i = 0; i < nameCount; i++) {
          const ordinal = ordinals.readUInt16LE(i * 2);
          if (ordinal >= functionCount) continue;
          const target = functions.readUInt32LE(ordinal * 4);
          const isForwarder = target >= rva && target < rva + sizeBytes; // the text `NTDLL.RtlAllocateHeap`
          const name = names.readUInt32LE(i * 4) - rva;
          if (!isForwarder && code.some((section) => isIn(section, target)) && name > 0 && isName(all, name)) note(target, name);
        }
      },
      nameAt: (place) => readName(all, place),
    };
  }

  #readCoffFunctions(): NamedPlaces {
    if (this.#coffCount === 0) return noPlaces;
    const table = this.#read(this.#coffOffset, this.#coffCount * COFF_SYMBOL_SIZE_BYTES);
    if (table === undefined) return noPlaces;
    const fields = new DataView(table.buffer, table.byteOffset, table.length); // quicker than Buffer's checks, ten thousand times
    const stringsOffset = this.#coffOffset + table.length;
    const stringsSizeBytes = this.#read(stringsOffset, 4)?.readUInt32LE(0) ?? 0;
    const strings = this.#read(stringsOffset, stringsSizeBytes) ?? Buffer.alloc(0);
    const isLong = (at: number): boolean => fields.getUint32(at, true) === 0; // else the name itself, up to 8 bytes
    const sections = this.#sections;
    return {
      forEach(note) {
        // BYTE NumberOfAuxSymbols: what follows a symbol and belongs to it
        for (let at = 0; at < table.length; at += (1 + table[at + 17]!) * COFF_SYMBOL_SIZE_BYTES) {
          if (fields.getUint16(at + 14, true) !== IMAGE_SYM_DTYPE_FUNCTION) continue;
          const section = sections[fields.getInt16(at + 12, true) - 1]; // SHORT SectionNumber, from 1
          if (!section?.isCode) continue;
          if (isLong(at) ? isName(strings, fields.getUint32(at + 4, true)) : isName(table, at)) note(section.rva + fields.getUint32(at + 8, true), at);
        }
      },
      nameAt: (at) => (isLong(at) ? readName(strings, fields.getUint32(at + 4, true)) : readName(table.subarray(at, at + 8), 0)),
    };
  }

  /** The contents of a section; empty where the file has none of that name. */
  #section(name: string): Buffer {
    const section = this.#findSection(name);
    if (section === undefined) return Buffer.alloc(0);
    // What is in the file is padded to whole sectors.
    return this.#read(section.fileOffset, Math.min(section.virtualSizeBytes, section.fileSizeBytes)) ?? Buffer.alloc(0);
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

/** `NtClose` rather than `ZwClose`, `fopen` than ucrtbase's `_o_fopen`; the function's own name rather than `.text` or a label; else the first by spelling. */
function isBetterName(name: string, known: string): boolean {
  const rank = (text: string): number => (/^(?:Zw[A-Z]|_o_)/.test(text) ? 1 : text.startsWith('.') ? 2 : 0);
  return rank(name) !== rank(known) ? rank(name) < rank(known) : name < known;
}

/** Places in code that have a name, by the place of the name. */
interface NamedPlaces {
  forEach(note: (rva: number, place: number) => void): void;
  nameAt(place: number): string;
}

/** The symbols of several tables. */
function collect(...tables: readonly NamedPlaces[]): CodeSymbols {
  const count = tables.length;
  // A symbol's place is its place in its table, and the table.
  const symbols = new CodeSymbols((place) => tables[place % count]!.nameAt(Math.floor(place / count)), isBetterName);
  tables.forEach((table, index) => table.forEach((rva, place) => symbols.add(rva, place * count + index)));
  return symbols;
}

const noPlaces: NamedPlaces = { forEach: () => undefined, nameAt: () => '' };

function isIn({ rva: start, virtualSizeBytes, fileSizeBytes }: Section, rva: number): boolean {
  return rva >= start && rva < start + Math.max(virtualSizeBytes, fileSizeBytes);
}

/** Whether there is a name that is not empty. */
function isName(bytes: Buffer, offset: number): boolean {
  return (bytes[offset] ?? 0) !== 0;
}

function readName(bytes: Buffer, offset: number): string {
  if (offset < 0 || offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, Math.min(end < 0 ? bytes.length : end, offset + 4096));
}
