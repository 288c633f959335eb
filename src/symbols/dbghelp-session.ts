import {
  hasInlineFunctions,
  SymAddrIncludeInlineTrace,
  SymCleanup,
  SymFromAddrW,
  SymFromInlineContextW,
  SymGetModuleInfoW64,
  SymGetLineFromAddrW64,
  SymGetLineFromInlineContextW,
  SymInitializeW,
  SymLoadModuleExW,
  SymQueryInlineTrace,
  SymSetOptions,
} from '../ffi/dbghelp.ts';
import { type HANDLE, readWideString } from '../ffi/library.ts';
import { failed } from '../io/system-error.ts';
import { undecorate } from './undecorate.ts';

/** The function of an address, by debug information. */
interface DebugSymbol {
  /** Undecorated. */
  readonly name: string;
  /** Address of its first byte. */
  readonly address: bigint;
  /** 0 where the debug information has none. */
  readonly sizeBytes: number;
}

/** A function that was inlined at an address. */
interface DebugInlined {
  /** Undecorated. */
  readonly name: string;
  /** The line in it that the address belongs to. */
  readonly line?: DebugLine;
}

/** The source line of an address, by debug information. */
interface DebugLine {
  readonly file: string;
  /** 1-based. */
  readonly line: number;
}

const SYMOPT_UNDNAME = 0x0000_0002;
const SYMOPT_LOAD_LINES = 0x0000_0010;
const SYMOPT_IGNORE_CVREC = 0x0000_0080;
const SYMOPT_FAIL_CRITICAL_ERRORS = 0x0000_0200;
const SYMOPT_NO_PROMPTS = 0x0008_0000;
const SYMFLAG_EXPORT = 0x0000_0200;
/** No compiler nests as many. A damaged file could make dbghelp count millions. */
const INLINED_MAX = 64;
const MAX_SYM_NAME = 2000;
/** A PDB may name files at any length. */
const FILE_LENGTH_MAX = 4096;
const SYMBOL_INFO_SIZE_BYTES = 88;
const SYMBOL_NAME_OFFSET = 84;
const LINE_SIZE_BYTES = 40;
const MODULE_SIZE_BYTES = 3264;
const SymPdb = 3;

const OPTIONS = SYMOPT_UNDNAME | SYMOPT_LOAD_LINES | SYMOPT_FAIL_CRITICAL_ERRORS | SYMOPT_NO_PROMPTS;
const NO_FILE = 0n as HANDLE;
let sessions = 0;

/**
 * Windows' own reader of debug information (PDB; under Wine DWARF up to version 4 as well), fed with files only.
 *
 * dbghelp takes a process handle, but only as a name for the session: any unique number serves. So it finds symbols for
 * a process that has ended, too. dbghelp must not be called from several threads: everything here is synchronous.
 *
 * https://learn.microsoft.com/windows/win32/api/dbghelp/nf-dbghelp-syminitializew
 */
export class DbghelpSession implements Disposable {
  readonly #knowsInlined = hasInlineFunctions();
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
    // Handles are multiples of four: no process has a handle of another number.
    this.#session = BigInt(0x7e57_0001 + 4 * sessions++) as HANDLE;
    SymSetOptions(OPTIONS);
    if (!SymInitializeW(this.#session, searchPath, false)) throw failed('start dbghelp', '');
  }

  /**
   * Reads a module's debug information, as if the module were at `base`.
   *
   * @param followPdbPath whether the PDB may be opened at the path in the file, which may be on another machine;
   *   otherwise dbghelp looks for its name, beside the file and along the search path. Wine's dbghelp follows the path
   *   in any case, but Wine has no network shares.
   * @returns whether dbghelp could read the file
   */
  load(path: string, base: bigint, sizeBytes: number, { followPdbPath }: { followPdbPath: boolean }): boolean {
    // The options are the process's, and dbghelp looks at this one while it loads.
    SymSetOptions(followPdbPath ? OPTIONS : OPTIONS | SYMOPT_IGNORE_CVREC);
    try {
      return SymLoadModuleExW(this.#session, NO_FILE, path, null, base, sizeBytes, null, 0) !== 0n;
    } finally {
      SymSetOptions(OPTIONS);
    }
  }

  /** Whether a loaded module's PDB was found: dbghelp reads a file without one, too, for its exports. */
  foundPdb(base: bigint): boolean {
    // IMAGEHLP_MODULEW64: +0 DWORD SizeOfStruct, +32 SYM_TYPE SymType; 3264 bytes
    const module = Buffer.alloc(MODULE_SIZE_BYTES);
    module.writeUInt32LE(MODULE_SIZE_BYTES, 0);
    return SymGetModuleInfoW64(this.#session, base, module) && module.readUInt32LE(32) === SymPdb;
  }

  /**
   * The function at an address of a loaded module. Not an export: the nearest may belong to a function far below.
   */
  findSymbol(address: bigint): DebugSymbol | undefined {
    return this.#readSymbol((symbol) => SymFromAddrW(this.#session, address, this.#displacement, symbol));
  }

  /**
   * The line at an address, in the function whose code it is; see {@link findInlined} for those inlined into it.
   */
  findLine(address: bigint): DebugLine | undefined {
    return this.#readLine((line) => SymGetLineFromAddrW64(this.#session, address, this.#displacement, line));
  }

  /**
   * The functions that were inlined at an address, the innermost first, and the line in the function around them. Empty
   * where none was, or where this dbghelp does not know inlined functions.
   *
   * https://learn.microsoft.com/windows/win32/debug/inline-function-symbols
   */
  findInlined(
    address: bigint,
    moduleBase: bigint,
  ): { readonly inlined: readonly DebugInlined[]; readonly outerLine?: DebugLine } {
    const count = this.#knowsInlined ? Math.min(SymAddrIncludeInlineTrace(this.#session, address), INLINED_MAX) : 0;
    const context = new Uint32Array(1);
    const index = new Uint32Array(1);
    if (count === 0 || !SymQueryInlineTrace(this.#session, address, 0, address, address, context, index))
      return { inlined: [] };
    const lineOf = (inlineContext: number): DebugLine | undefined =>
      this.#readLine((line) =>
        SymGetLineFromInlineContextW(this.#session, address, inlineContext, moduleBase, this.#displacement, line),
      );
    const inlined: DebugInlined[] = [];
    for (let depth = 0; depth < count; depth++) {
      const inlineContext = context[0]! + depth;
      const symbol = this.#readSymbol((buffer) =>
        SymFromInlineContextW(this.#session, address, inlineContext, this.#displacement, buffer),
      );
      const line = lineOf(inlineContext);
      if (symbol !== undefined) inlined.push({ name: symbol.name, ...(line && { line }) });
    }
    const outerLine = lineOf(context[0]! + count);
    return { inlined, ...(outerLine && { outerLine }) };
  }

  #readSymbol(fill: (symbol: Buffer) => boolean): DebugSymbol | undefined {
    const symbol = this.#symbol;
    symbol.fill(0, 0, SYMBOL_INFO_SIZE_BYTES);
    symbol.writeUInt32LE(SYMBOL_INFO_SIZE_BYTES, 0); // ULONG SizeOfStruct
    symbol.writeUInt32LE(MAX_SYM_NAME, 80); // ULONG MaxNameLen
    if (!fill(symbol)) return undefined;
    if ((symbol.readUInt32LE(40) & SYMFLAG_EXPORT) !== 0) return undefined; // ULONG Flags
    const length = Math.min(symbol.readUInt32LE(76), MAX_SYM_NAME - 1); // ULONG NameLen
    const name = symbol.toString('utf16le', SYMBOL_NAME_OFFSET, SYMBOL_NAME_OFFSET + length * 2).replace(/\0.*$/s, '');
    if (name === '') return undefined;
    return { name: undecorate(name), address: symbol.readBigUInt64LE(56), sizeBytes: symbol.readUInt32LE(28) };
  }

  #readLine(fill: (line: Buffer) => boolean): DebugLine | undefined {
    const line = this.#line;
    line.fill(0).writeUInt32LE(LINE_SIZE_BYTES, 0); // DWORD SizeOfStruct
    if (!fill(line)) return undefined;
    const number = line.readUInt32LE(16); // DWORD LineNumber
    const fileName = line.readBigUInt64LE(24); // PWSTR FileName
    // The compiler marks code that has no line with this number. https://devblogs.microsoft.com/oldnewthing/20140815-00
    if (number === 0 || number === 0xf0_0f00 || number === 0xfe_efee || fileName === 0n) return undefined;
    return { file: readWideString(fileName).slice(0, FILE_LENGTH_MAX), line: number };
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) SymCleanup(this.#session);
    this.#isOpen = false;
  }
}
