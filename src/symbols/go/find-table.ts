/** The part of an executable file that its Go tables are looked for in. */
export interface GoImage {
  /** Where the linker meant the image to be: pointers in the file count from zero. */
  readonly imageBase: number;
  readonly sections: readonly GoSection[];
  /** Bytes by their place in the file; `undefined` where it ends before them. */
  read(offset: number, sizeBytes: number): Buffer | undefined;
  /** Bytes by their address relative to the image; `undefined` where no section has all of them. */
  readAt(rva: number, sizeBytes: number): Buffer | undefined;
}

interface GoSection {
  readonly name: string;
  readonly rva: number;
  readonly fileOffset: number;
  readonly fileSizeBytes: number;
  readonly isCode: boolean;
}

/** The layouts of the table, by the version of Go that began to write them. */
export type TableVersion = '1.16' | '1.18' | '1.20';

/** The table of functions and lines of a program, and the places that its offsets count from. */
export interface GoTables {
  readonly version: TableVersion;
  /** The whole table. */
  readonly table: Buffer;
  /** Offsets of its parts in {@link table}. */
  readonly names: number;
  readonly units: number;
  readonly files: number;
  readonly values: number;
  readonly functions: number;
  readonly functionCount: number;
  /** The program's Go code, relative to the image. */
  readonly textBegin: number;
  readonly textEnd: number;
  /** The base of the offsets of function data, relative to the image; absent where it is not known. */
  readonly functionData?: number;
}

/** The linker of Go makes this section, even in a stripped program. One of mingw makes none of that name. */
const SYMBOL_SECTION = '.symtab';
/** It begins the code, unless the build left it out. */
const BUILD_ID: Buffer = Buffer.from('\xff Go build ID: "', 'latin1');
/** It is among the first data, unless another linker put others before it. */
const BUILD_INFORMATION: Buffer = Buffer.from('\xff Go buildinf:', 'latin1');
const BUILD_INFORMATION_SEARCH_SIZE_BYTES = 0x8_0000;

const WINDOW_SIZE_BYTES = 0x1_0000;
/** The rest of the magic number, two zeros, the size of an instruction and the size of a pointer. */
const HEADER_TAIL: Buffer = Buffer.from([0xff, 0xff, 0xff, 0, 0, 1, 8]);
const versions: Readonly<Record<number, TableVersion>> = { 250: '1.16', 240: '1.18', 241: '1.20' };
/** No file has more places that look like a header, or like module data. */
const CANDIDATES_MAX = 64;
/** The bytes that are looked at in one file. One that was made to take time has many places that look right. */
const SEARCH_SIZE_BYTES_MAX = 2 ** 29;
/** No program has more functions. */
const FUNCTION_COUNT_MAX = 1 << 22;

/** Words of `runtime.moduledata`; those up to `etext` are the same since Go 1.16. */
const module = { header: 0, names: 1, units: 4, files: 7, values: 10, functions: 13, text: 22, etext: 23 } as const;
const MODULE_WORD_COUNT = 41;
/** The word of `gofunc`, which Go 1.18 brought; Go 1.20 put two words before it. */
const functionDataWord: Readonly<Record<TableVersion, number | undefined>> = {
  '1.16': undefined,
  '1.18': 38,
  '1.20': 40,
};

/**
 * Finds the table of functions and lines (`runtime.pclntab`) that every Go program has, stripped or not, Go 1.16 to
 * 1.26; `undefined` for any other program.
 *
 * The table lies in the middle of the read-only data, and nothing names the place in a stripped program. So it is
 * looked for by its header. `runtime.moduledata` points to it and to its parts, and both must agree.
 *
 * https://go.dev/s/go12symtab, https://go.dev/src/runtime/symtab.go
 */
export function findGoTables(image: GoImage): GoTables | undefined {
  if (!isGo(image)) return undefined;
  const search: Search = { image, leftSizeBytes: SEARCH_SIZE_BYTES_MAX };
  let count = 0;
  for (const rva of findHeaders(search)) {
    const found = readTables(search, rva);
    if (found !== undefined || ++count === CANDIDATES_MAX) return found;
  }
  return undefined;
}

function isGo(image: GoImage): boolean {
  if (image.sections.some(({ name }) => name === SYMBOL_SECTION)) return true;
  const code = image.sections.find(({ isCode }) => isCode);
  if (code !== undefined && image.read(code.fileOffset, BUILD_ID.length)?.equals(BUILD_ID) === true) return true;
  const data = image.sections.find(({ name }) => name === '.data');
  if (data === undefined) return false;
  const limit = Math.min(data.fileSizeBytes, BUILD_INFORMATION_SEARCH_SIZE_BYTES);
  const search: Search = { image, leftSizeBytes: limit };
  return !findAligned(search, { ...data, fileSizeBytes: limit }, BUILD_INFORMATION, 16).next().done;
}

interface Search {
  readonly image: GoImage;
  /** How much more of the file may be looked at. */
  leftSizeBytes: number;
}

/** Addresses of all that looks like a table's header, relative to the image. */
function* findHeaders(search: Search): Generator<number> {
  for (const section of search.image.sections) {
    if (section.isCode || !/^\.(?:rdata|data)$/.test(section.name)) continue;
    for (const at of findAligned(search, section, HEADER_TAIL, 8, 1)) yield section.rva + at;
  }
}

/**
 * Offsets in a section where some bytes are, if they begin `skip` bytes after an aligned offset. Bytes that such a
 * place shares with the next window are not found: all that is looked for is aligned, and no longer than that.
 */
function* findAligned(
  search: Search,
  section: GoSection,
  bytes: Buffer,
  alignment: number,
  skip = 0,
): Generator<number> {
  for (let start = 0; start < section.fileSizeBytes; start += WINDOW_SIZE_BYTES) {
    const sizeBytes = Math.min(WINDOW_SIZE_BYTES, section.fileSizeBytes - start);
    search.leftSizeBytes -= sizeBytes;
    const window = search.leftSizeBytes < 0 ? undefined : search.image.read(section.fileOffset + start, sizeBytes);
    if (window === undefined) return;
    for (let at = window.indexOf(bytes); at >= 0; at = window.indexOf(bytes, at + 1)) {
      if (at >= skip && (at - skip) % alignment === 0) yield start + at - skip;
    }
  }
}

function readTables(search: Search, rva: number): GoTables | undefined {
  const { image } = search;
  const magic = image.readAt(rva, 1)?.[0];
  const version = magic === undefined ? undefined : versions[magic];
  if (version === undefined) return undefined;
  // pcHeader: u32 magic, u16 zero, u8, u8, word nfunc, word nfiles, since 1.18 word textStart, words with five offsets
  const offsetsAt = version === '1.16' ? 24 : 32;
  const header = image.readAt(rva, offsetsAt + 40);
  if (header === undefined) return undefined;
  const functionCount = wordAt(header, 8);
  const offsets = [0, 1, 2, 3, 4].map((index) => wordAt(header, offsetsAt + index * 8));
  if (!(functionCount > 0 && functionCount <= FUNCTION_COUNT_MAX)) return undefined;
  for (const data of findModuleData(search, rva)) {
    const word = (index: number): number => wordAt(data, index * 8);
    const parts = [module.names, module.units, module.files, module.values, module.functions] as const;
    const start = image.imageBase + rva;
    if (parts.some((part, index) => word(part) !== start + offsets[index]!)) continue;
    const [textBegin, textEnd] = [word(module.text) - image.imageBase, word(module.etext) - image.imageBase];
    if (!(textBegin > 0 && textEnd > textBegin && textEnd < 2 ** 32)) continue;
    const table = image.readAt(rva, offsets[4]! + word(module.functions + 1));
    if (table === undefined) continue;
    const [names, units, files, values, functions] = offsets as [number, number, number, number, number];
    const dataWord = functionDataWord[version];
    return {
      ...{ version, table, names, units, files, values, functions, functionCount, textBegin, textEnd },
      ...(dataWord === undefined ? {} : { functionData: word(dataWord) - image.imageBase }),
    };
  }
  return undefined;
}

/** All that may be the program's `runtime.moduledata`: it begins with a pointer to the table. */
function* findModuleData(search: Search, table: number): Generator<Buffer> {
  const { image } = search;
  let count = 0;
  const pointer = Buffer.alloc(8);
  pointer.writeBigUInt64LE(BigInt.asUintN(64, BigInt(image.imageBase + table)));
  for (const section of image.sections) {
    if (section.name !== '.data') continue;
    for (const at of findAligned(search, section, pointer, 8)) {
      const data = image.readAt(section.rva + at, MODULE_WORD_COUNT * 8);
      if (data !== undefined) yield data;
      if (++count === CANDIDATES_MAX) return;
    }
  }
}

/** Exact up to 2^53, which no address or length of a real file exceeds. */
function wordAt(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 2 ** 32;
}
