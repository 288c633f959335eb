import type { MemoryBudget } from '../memory-budget.ts';
import type { PdbStream, PdbStreams } from './msf.ts';
import { SpanTable } from './span-table.ts';

/** The parts of a PDB that say what lies where: the code, and the streams about it. */
export interface PdbLayout {
  /** As the linker knew it: the executable file names the PDB by this age. */
  readonly age: number;
  /** The stream of public symbols, and that of the records that it points into. */
  readonly publics: PdbStream | undefined;
  readonly records: PdbStream | undefined;
  readonly modules: readonly PdbModuleInfo[];
  /** The module (object file) whose code an address is in. */
  moduleAt(rva: number): PdbModuleInfo | undefined;
  /** A place in a section as an address relative to the image; `undefined` for a section that is not there. */
  toRva(section: number, offset: number): number | undefined;
}

/** Where the symbols and lines of one object file are. */
export interface PdbModuleInfo {
  /** Absent where the linker left them out. */
  readonly stream: PdbStream | undefined;
  readonly symbolsSizeBytes: number;
  /** Lines of the old form, which no compiler writes any more, stand before those of the new form. */
  readonly oldLinesSizeBytes: number;
  readonly linesSizeBytes: number;
}

const HEADER_SIZE_BYTES = 64;
const VERSION_SIGNATURE = 0xffff_ffff;
const NO_STREAM = 0xffff;
/** Where the numbers of these streams stand among the optional ones. */
const OMAP_TO_SOURCE = 3;
const SECTION_HEADERS = 5;
const SECTION_HEADER_SIZE_BYTES = 40;
/** Windows' loader takes 96. */
const SECTIONS_MAX = 512;
const MODULE_SIZE_BYTES = 64;
const MODULES_MAX = 0xffff;
/** Approximate size of a module in memory. */
const KEPT_MODULE_SIZE_BYTES = 160;
const CONTRIBUTIONS_VERSION_60 = 0xeffe_0000 + 19_970_605;
const CONTRIBUTIONS_VERSION_2 = 0xeffe_0000 + 20_140_516;
const CONTRIBUTION_SIZE_BYTES = 28;
/** So many are read at once. */
const PART_COUNT = 2048;

/**
 * Reads the stream of modules.
 *
 * @returns `undefined` where it is of an old version, or where code was moved after it was linked (OMAP)
 * @throws RangeError where it is damaged, or finds no room in memory
 * @see https://llvm.org/docs/PDB/DbiStream.html
 */
export function readLayout(stream: PdbStream, streams: PdbStreams, budget: MemoryBudget): PdbLayout | undefined {
  const header = stream.read(0, HEADER_SIZE_BYTES);
  if (header.readUInt32LE(0) !== VERSION_SIGNATURE) return undefined;
  // +24 i32 ModInfoSize, SectionContributionSize, SectionMapSize, SourceInfoSize, TypeServerMapSize,
  // +44 u32 MFCTypeServerIndex, +48 i32 OptionalDbgHeaderSize, ECSubstreamSize
  const sizesBytes = [24, 28, 32, 36, 40, 48, 52].map((at) => header.readUInt32LE(at));
  const [modules, contributions, map, files, types, optional, editAndContinue] = sizesBytes as [
    ...[number, number, number, number, number, number, number],
  ];
  const contributionsAt = HEADER_SIZE_BYTES + modules;
  const optionalAt = contributionsAt + contributions + map + files + types + editAndContinue;
  const optionalNumbers = stream.read(optionalAt, Math.min(optional, 64));
  const optionalStream = (index: number): PdbStream | undefined => {
    const number = index * 2 + 2 <= optionalNumbers.length ? optionalNumbers.readUInt16LE(index * 2) : NO_STREAM;
    return number === NO_STREAM ? undefined : streams(number);
  };
  if ((optionalStream(OMAP_TO_SOURCE)?.sizeBytes ?? 0) > 0) return undefined;
  const sections = readSections(optionalStream(SECTION_HEADERS));
  const toRva = (section: number, offset: number): number | undefined => {
    const rva = sections[section - 1];
    return rva === undefined || rva + offset >= 2 ** 32 ? undefined : rva + offset;
  };
  const modulesInfo = readModules(stream, contributionsAt, streams, budget);
  const contributedBy = readContributions(stream, { at: contributionsAt, sizeBytes: contributions }, toRva, budget);
  return {
    age: header.readUInt32LE(8),
    publics: streams(header.readUInt16LE(16)), // u16 PublicStreamIndex
    records: streams(header.readUInt16LE(20)), // u16 SymRecordStream
    modules: modulesInfo,
    moduleAt: (rva) => modulesInfo[contributedBy.find(rva)?.value ?? -1],
    toRva,
  };
}

/** Addresses of the sections. IMAGE_SECTION_HEADER: +12 DWORD VirtualAddress */
function readSections(stream: PdbStream | undefined): readonly number[] {
  if (stream === undefined) return [];
  const count = Math.min(Math.floor(stream.sizeBytes / SECTION_HEADER_SIZE_BYTES), SECTIONS_MAX);
  const table = stream.read(0, count * SECTION_HEADER_SIZE_BYTES);
  return Array.from({ length: count }, (_, index) => table.readUInt32LE(index * SECTION_HEADER_SIZE_BYTES + 12));
}

function readModules(
  stream: PdbStream,
  end: number,
  streams: PdbStreams,
  budget: MemoryBudget,
): readonly PdbModuleInfo[] {
  const modules: PdbModuleInfo[] = [];
  const taken = new Set<number>([NO_STREAM]);
  for (let at = HEADER_SIZE_BYTES; at + MODULE_SIZE_BYTES <= end && modules.length < MODULES_MAX; ) {
    // +34 u16 ModuleSymStream, +36 u32 SymByteSize, +40 u32 C11ByteSize, +44 u32 C13ByteSize
    const row = stream.read(at, MODULE_SIZE_BYTES);
    const number = row.readUInt16LE(34);
    budget.spend(KEPT_MODULE_SIZE_BYTES);
    modules.push({
      // Each module has a stream of its own: otherwise it would be read once for each of them.
      stream: taken.has(number) ? undefined : streams(number),
      symbolsSizeBytes: row.readUInt32LE(36),
      oldLinesSizeBytes: row.readUInt32LE(40),
      linesSizeBytes: row.readUInt32LE(44),
    });
    taken.add(number);
    // char ModuleName[], ObjFileName[]: both end with a zero
    at = skipTexts(stream, at + MODULE_SIZE_BYTES, end, 2);
    at += (4 - (at % 4)) % 4;
  }
  return modules;
}

function skipTexts(stream: PdbStream, start: number, end: number, count: number): number {
  let at = start;
  for (let left = count; left > 0; ) {
    const part = stream.read(at, Math.min(512, end - at));
    if (part.length === 0) throw new RangeError('A text has no end');
    const length = part.indexOf(0);
    at += length < 0 ? part.length : length + 1;
    if (length >= 0) left--;
  }
  return at;
}

/** Reads which object file each part of the image comes from: the value of a span is the number of the module. */
function readContributions(
  stream: PdbStream,
  { at, sizeBytes }: { readonly at: number; readonly sizeBytes: number },
  toRva: PdbLayout['toRva'],
  budget: MemoryBudget,
): SpanTable {
  const contributions = new SpanTable(budget);
  const version = sizeBytes < 4 ? 0 : stream.read(at, 4).readUInt32LE(0);
  if (version !== CONTRIBUTIONS_VERSION_60 && version !== CONTRIBUTIONS_VERSION_2) return contributions;
  const rowSizeBytes = version === CONTRIBUTIONS_VERSION_2 ? CONTRIBUTION_SIZE_BYTES + 4 : CONTRIBUTION_SIZE_BYTES;
  const count = Math.floor((sizeBytes - 4) / rowSizeBytes);
  for (let first = 0; first < count; first += PART_COUNT) {
    const rows = stream.read(at + 4 + first * rowSizeBytes, Math.min(PART_COUNT, count - first) * rowSizeBytes);
    for (let row = 0; row < rows.length; row += rowSizeBytes) {
      // +0 u16 Section, +4 i32 Offset, +8 i32 Size, +12 u32 Characteristics, +16 u16 ModuleIndex
      const rva = toRva(rows.readUInt16LE(row), rows.readUInt32LE(row + 4));
      if (rva !== undefined) contributions.add(rva, rows.readUInt32LE(row + 8), rows.readUInt16LE(row + 16));
    }
  }
  return contributions;
}
