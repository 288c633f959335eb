import { CodeSymbols, ROW_COUNT_MAX, symbolKey } from './code-symbols.ts';

/**
 * The tables of a file that name its functions. They are read whole, a row of a table in as few steps as can be: a DLL of the system has
 * thousands of rows, and this is done once for each run.
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
export function exportedSymbols({ directory, directoryRva, ...tables }: ExportTables, isCode: (rva: number) => boolean): CodeSymbols {
  const [functions, names, ordinals] = [toUint32Array(tables.functions), toUint32Array(tables.names), toUint16Array(tables.ordinals)];
  const forwardersEnd = directoryRva + directory.length;
  const keys: number[] = [];
  const count = Math.min(names.length, ROW_COUNT_MAX);
  for (let row = 0; row < count; row++) {
    const rva = functions[ordinals[row]!];
    if (rva === undefined || (rva >= directoryRva && rva < forwardersEnd)) continue; // a forwarder: the text `NTDLL.RtlAllocateHeap`
    if (directory[names[row]! - directoryRva] && isCode(rva)) keys.push(symbolKey(rva, row));
  }
  return new CodeSymbols(keys, (row) => readName(directory, names[row]! - directoryRva));
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
export function coffSymbols(table: Buffer, strings: Buffer, codeSections: readonly (number | undefined)[]): CodeSymbols {
  const words = toUint16Array(table);
  const keys: number[] = [];
  const count = Math.min(Math.floor(words.length / COFF_SYMBOL_WORDS), ROW_COUNT_MAX);
  for (let row = 0; row < count; row++) {
    const at = row * COFF_SYMBOL_WORDS;
    // BYTE NumberOfAuxSymbols, +17: what follows a symbol and belongs to it
    row += words[at + 8]! >> 8;
    if (words[at + 7] !== IMAGE_SYM_DTYPE_FUNCTION) continue; // WORD Type, +14
    const section = codeSections[words[at + 6]! - 1]; // SHORT SectionNumber, +12, from 1
    if (section === undefined) continue;
    // Zero, and where in the strings the name is; else the name itself, up to 8 bytes.
    if (words[at] === 0 && words[at + 1] === 0 && !strings[words[at + 2]! + words[at + 3]! * 0x1_0000]) continue;
    const rva = section + words[at + 4]! + words[at + 5]! * 0x1_0000; // DWORD Value, +8
    if (rva < 2 ** 32) keys.push(symbolKey(rva, at / COFF_SYMBOL_WORDS));
  }
  return new CodeSymbols(keys, (row) => {
    const at = row * COFF_SYMBOL_WORDS;
    if (words[at] !== 0 || words[at + 1] !== 0) return readName(table.subarray(at * 2, at * 2 + 8), 0);
    return readName(strings, words[at + 2]! + words[at + 3]! * 0x1_0000);
  });
}

/** A text that ends with a zero; empty where there is none. */
export function readName(bytes: Buffer, offset: number): string {
  if (offset < 0 || offset >= bytes.length) return '';
  const end = bytes.indexOf(0, offset);
  return bytes.toString('utf8', offset, Math.min(end < 0 ? bytes.length : end, offset + 4096));
}

/** A copy, for a view's numbers have to lie at multiples of their size. */
function toUint32Array(bytes: Buffer): Uint32Array {
  return new Uint32Array(copyOf(bytes), 0, Math.floor(bytes.length / 4));
}

function toUint16Array(bytes: Buffer): Uint16Array {
  return new Uint16Array(copyOf(bytes), 0, Math.floor(bytes.length / 2));
}

function copyOf(bytes: Buffer): ArrayBuffer {
  return Uint8Array.prototype.slice.call(bytes).buffer as ArrayBuffer;
}
