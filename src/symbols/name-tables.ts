import { CodeSymbols, SYMBOL_COUNT_MAX, symbolKey } from './code-symbols.ts';
import { lastAtOrBelow } from './sorted-search.ts';

/**
 * The tables of a file that name its functions. They are read whole, with few steps for each row: a DLL of the system
 * has thousands of rows, and every run reads some.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 */

/** The parts of an export directory. */
export interface ExportTables {
  /** IMAGE_EXPORT_DIRECTORY and what lies behind it, the names too. */
  readonly directory: Buffer;
  readonly directoryRva: number;
  /** DWORD AddressOfFunctions[] */
  readonly functions: Buffer;
  /** DWORD AddressOfNames[] */
  readonly names: Buffer;
  /** WORD AddressOfNameOrdinals[], as many as names */
  readonly ordinals: Buffer;
}

/**
 * The functions that a file exports by name.
 *
 * @param isCode whether an address is in a section of code
 */
export function exportedSymbols(
  { directory, directoryRva, ...tables }: ExportTables,
  isCode: (rva: number) => boolean,
): CodeSymbols {
  const [functions, names, ordinals] = [
    toUint32Array(tables.functions),
    toUint32Array(tables.names),
    toUint16Array(tables.ordinals),
  ];
  const forwardersEnd = directoryRva + directory.length;
  const keys: number[] = [];
  const count = Math.min(names.length, SYMBOL_COUNT_MAX);
  for (let row = 0; row < count; row++) {
    const rva = functions[ordinals[row]!];
    // An address in the directory is a forwarder: the text `NTDLL.RtlAllocateHeap`.
    if (rva === undefined || (rva >= directoryRva && rva < forwardersEnd)) continue;
    if (directory[names[row]! - directoryRva] && isCode(rva)) keys.push(symbolKey(rva, row));
  }
  return new CodeSymbols(keys, (row) => readName(directory, names[row]! - directoryRva));
}

/**
 * Whether a file exports a name, of a function or of data. Linkers sort the names by their bytes, and Windows relies on
 * that.
 */
export function exportsName({ directory, directoryRva, names: nameRvas }: ExportTables, name: string): boolean {
  const names = toUint32Array(nameRvas);
  const wanted = Buffer.from(name);
  const textAt = (row: number): Buffer => Buffer.from(readName(directory, names[row]! - directoryRva));
  const row = lastAtOrBelow(names.length, (index) => Buffer.compare(textAt(index), wanted), 0);
  return row >= 0 && textAt(row).equals(wanted);
}

export const COFF_SYMBOL_SIZE_BYTES = 18;
const COFF_SYMBOL_WORDS = COFF_SYMBOL_SIZE_BYTES / 2;
const IMAGE_SYM_DTYPE_FUNCTION = 0x20;

/**
 * The functions of a COFF symbol table, which MinGW keeps, even where there is no debug information.
 *
 * @param strings the string table behind it
 * @param codeSections address of each section that holds code, by its number from 0
 */
export function coffSymbols(
  table: Buffer,
  strings: Buffer,
  codeSections: readonly (number | undefined)[],
): CodeSymbols {
  const words = toUint16Array(table);
  const keys: number[] = [];
  const places: number[] = []; // of the rows of the symbols
  // BYTE NumberOfAuxSymbols, +17: what follows a symbol and belongs to it
  for (
    let at = 0;
    at + COFF_SYMBOL_WORDS <= words.length && keys.length < SYMBOL_COUNT_MAX;
    at += (1 + (words[at + 8]! >> 8)) * COFF_SYMBOL_WORDS
  ) {
    if (words[at + 7] !== IMAGE_SYM_DTYPE_FUNCTION) continue; // WORD Type, +14
    const section = codeSections[words[at + 6]! - 1]; // SHORT SectionNumber, +12, from 1
    if (section === undefined) continue;
    // Zero, and where in the strings the name is; else the name itself, up to 8 bytes.
    const isNamed =
      words[at] === 0 && words[at + 1] === 0 ? strings[words[at + 2]! + words[at + 3]! * 0x1_0000] : words[at]! & 0xff;
    const rva = section + words[at + 4]! + words[at + 5]! * 0x1_0000; // DWORD Value, +8
    if (!isNamed || rva >= 2 ** 32) continue;
    keys.push(symbolKey(rva, keys.length));
    places.push(at);
  }
  return new CodeSymbols(keys, (number) => {
    const at = places[number]!;
    if (words[at] !== 0 || words[at + 1] !== 0) return readName(table.subarray(at * 2, at * 2 + 8), 0);
    return readName(strings, words[at + 2]! + words[at + 3]! * 0x1_0000);
  });
}

/** Compilers write shorter names: a text without an end must not become one of megabytes. */
const NAME_SIZE_BYTES_MAX = 4096;

/** A text that ends with a zero; empty where there is none, and cut off after 4 KiB. */
export function readName(bytes: Buffer, offset: number): string {
  if (offset < 0 || offset >= bytes.length) return '';
  const text = bytes.subarray(offset, offset + NAME_SIZE_BYTES_MAX);
  const end = text.indexOf(0);
  return text.toString('utf8', 0, end < 0 ? text.length : end);
}

function toUint32Array(bytes: Buffer): Uint32Array {
  const { buffer, byteOffset } = aligned(bytes, 4);
  return new Uint32Array(buffer, byteOffset, Math.floor(bytes.length / 4));
}

function toUint16Array(bytes: Buffer): Uint16Array {
  const { buffer, byteOffset } = aligned(bytes, 2);
  return new Uint16Array(buffer, byteOffset, Math.floor(bytes.length / 2));
}

/** The same bytes where numbers of that size may lie: copied, if need be. */
function aligned(bytes: Uint8Array, sizeBytes: number): Uint8Array {
  return bytes.byteOffset % sizeBytes === 0 ? bytes : new Uint8Array(bytes);
}
