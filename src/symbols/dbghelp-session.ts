import {
  SymCleanup,
  SymFromAddrW,
  SymGetLineFromAddrW64,
  SymInitializeW,
  SymLoadModuleExW,
  SymSetOptions,
} from '../ffi/dbghelp.ts';
import { type HANDLE, readWideString } from '../ffi/library.ts';
import { failed } from '../io/system-error.ts';
import { undecorate } from './undecorate.ts';

/** The function that debug information has for an address. */
export interface DebugSymbol {
  /** Undecorated. */
  readonly name: string;
  /** Address of its first byte. */
  readonly address: bigint;
  /** 0 where the debug information does not say. */
  readonly sizeBytes: number;
}

/** The source line that debug information has for an address. */
export interface DebugLine {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

const SYMOPT_UNDNAME = 0x0000_0002;
const SYMOPT_LOAD_LINES = 0x0000_0010;
const SYMOPT_FAIL_CRITICAL_ERRORS = 0x0000_0200;
const SYMOPT_NO_PROMPTS = 0x0008_0000;
const SYMFLAG_EXPORT = 0x0000_0200;
const MAX_SYM_NAME = 2000;
const SYMBOL_INFO_SIZE_BYTES = 88;
const SYMBOL_NAME_OFFSET = 84;
const LINE_SIZE_BYTES = 40;

const NO_FILE = 0n as HANDLE;
let sessions = 0;

/**
 * Windows' own reader of debug information (PDB; under Wine DWARF up to version 4 as well), fed with files only.
 *
 * dbghelp wants a process handle but only as a name for the session: any unique number serves, so symbols are found for
 * a process that has ended, too. dbghelp is not made for several threads: everything here is synchronous.
 *
 * https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-syminitializew
 */
export class DbghelpSession implements Disposable {
  readonly #session: HANDLE;
  readonly #symbol: Buffer = Buffer.alloc(SYMBOL_INFO_SIZE_BYTES + MAX_SYM_NAME * 2);
  readonly #line: Buffer = Buffer.alloc(LINE_SIZE_BYTES);
  readonly #displacement: BigUint64Array = new BigUint64Array(1);
  #isOpen = true;

  /**
   * @param searchPath where to look for PDB files that are not beside their module; null: `_NT_SYMBOL_PATH`
   * @throws Win32Error when dbghelp refuses
   */
  constructor(searchPath: string | null = null) {
    // Handles are multiples of four: a number that is none cannot be anybody's.
    this.#session = BigInt(0x7e57_0001 + 4 * sessions++) as HANDLE;
    SymSetOptions(SYMOPT_UNDNAME | SYMOPT_LOAD_LINES | SYMOPT_FAIL_CRITICAL_ERRORS | SYMOPT_NO_PROMPTS);
    if (!SymInitializeW(this.#session, searchPath, false)) throw failed('start dbghelp', '');
  }

  /** Reads a module's debug information, as if the module were at `base`; whether dbghelp could make anything of the file. */
  load(path: string, base: bigint, sizeBytes: number): boolean {
    return SymLoadModuleExW(this.#session, NO_FILE, path, null, base, sizeBytes, null, 0) !== 0n;
  }

  /** The function at an address of a loaded module; not a mere export, for its name may be that of a function far below. */
  findSymbol(address: bigint): DebugSymbol | undefined {
    const symbol = this.#symbol;
    symbol.fill(0, 0, SYMBOL_INFO_SIZE_BYTES);
    symbol.writeUInt32LE(SYMBOL_INFO_SIZE_BYTES, 0); // ULONG SizeOfStruct
    symbol.writeUInt32LE(MAX_SYM_NAME, 80); // ULONG MaxNameLen
    if (!SymFromAddrW(this.#session, address, this.#displacement, symbol)) return undefined;
    if ((symbol.readUInt32LE(40) & SYMFLAG_EXPORT) !== 0) return undefined; // ULONG Flags
    const length = Math.min(symbol.readUInt32LE(76), MAX_SYM_NAME - 1); // ULONG NameLen
    const name = symbol.toString('utf16le', SYMBOL_NAME_OFFSET, SYMBOL_NAME_OFFSET + length * 2).replace(/\0.*$/s, '');
    if (name === '') return undefined;
    return { name: undecorate(name), address: symbol.readBigUInt64LE(56), sizeBytes: symbol.readUInt32LE(28) };
  }

  findLine(address: bigint): DebugLine | undefined {
    const line = this.#line;
    line.fill(0).writeUInt32LE(LINE_SIZE_BYTES, 0); // DWORD SizeOfStruct
    if (!SymGetLineFromAddrW64(this.#session, address, this.#displacement, line)) return undefined;
    const number = line.readUInt32LE(16); // DWORD LineNumber
    const fileName = line.readBigUInt64LE(24); // PWSTR FileName
    // The compiler marks code that has no line with this number. https://devblogs.microsoft.com/oldnewthing/20140815-00
    if (number === 0 || number === 0xf0_0f00 || number === 0xfe_efee || fileName === 0n) return undefined;
    return { file: readWideString(fileName), line: number };
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) SymCleanup(this.#session);
    this.#isOpen = false;
  }
}
