import type { MemoryBudget } from '../memory-budget.ts';

/** Reads a part of a file; `undefined` where the file ends before it does. */
export type ReadFile = (offset: number, sizeBytes: number) => Buffer | undefined;

const MAGIC: Buffer = Buffer.from('Microsoft C/C++ MSF 7.00\r\n\x1aDS\0\0\0', 'latin1');
const SUPER_BLOCK_SIZE_BYTES = MAGIC.length + 24;
/** MSVC's linker makes blocks of 4 KiB, and larger ones for files of more than 4 GiB. */
const BLOCK_SIZES_BYTES: ReadonlySet<number> = new Set([512, 1024, 2048, 4096, 8192, 16384, 32768]);
/** No stream is read in larger parts at once: they are put together from blocks. The directory has less, too. */
const PART_SIZE_BYTES_MAX = 1 << 24;
/**
 * Each block belongs to one stream, but for those of an old directory. Streams that shared blocks without end would
 * take hours to read.
 */
const SHARED_FACTOR_MAX = 2;
const NO_STREAM = 0xffff_ffff;
/** Most PDB files have blocks of this size. */
const WINDOW_SIZE_BYTES = 4096;
/** No name in any real PDB is longer. */
const TEXT_SIZE_BYTES_MAX = 4096;
const TEXT_STEP_SIZE_BYTES = 128;

/** One of the streams of a PDB. Its blocks may lie anywhere in the file; only those that are asked for are read. */
export interface PdbStream {
  readonly sizeBytes: number;
  /**
   * Bytes of the stream. The caller must not write to them.
   *
   * @throws RangeError where the stream or the file ends before them
   */
  read(offset: number, sizeBytes: number): Buffer;
}

/** The streams of a PDB by their numbers; `undefined` where there is none of that number. */
export type PdbStreams = (number: number) => PdbStream | undefined;

/**
 * Opens the container that a PDB is: a file of blocks, which belong to numbered streams.
 *
 * Nothing is kept but the directory, which says what blocks each stream has.
 *
 * @returns `undefined` for a file of another kind
 * @throws RangeError for a damaged one, and for one whose directory finds no room in memory
 * @see https://llvm.org/docs/PDB/MsfFile.html
 */
export function openStreams(readFile: ReadFile, budget: MemoryBudget): PdbStreams | undefined {
  const header = readFile(0, SUPER_BLOCK_SIZE_BYTES);
  if (header === undefined || !header.subarray(0, MAGIC.length).equals(MAGIC)) return undefined;
  const blockSizeBytes = header.readUInt32LE(MAGIC.length); // u32 BlockSize
  const directorySizeBytes = header.readUInt32LE(MAGIC.length + 12); // u32 NumDirectoryBytes
  const mapBlock = header.readUInt32LE(MAGIC.length + 20); // u32 BlockMapAddr
  if (!BLOCK_SIZES_BYTES.has(blockSizeBytes)) throw new RangeError('The blocks of a PDB have an impossible size');
  const sizeBytes = header.readUInt32LE(MAGIC.length + 8) * blockSizeBytes; // u32 NumBlocks
  if (readFile(sizeBytes - 1, 1) === undefined) throw new RangeError('A PDB ends early');
  if (directorySizeBytes < 4 || directorySizeBytes > Math.min(sizeBytes, PART_SIZE_BYTES_MAX))
    throw new RangeError('The directory of a PDB has an impossible size');
  budget.spend(directorySizeBytes);
  const mapSizeBytes = Math.ceil(directorySizeBytes / blockSizeBytes) * 4;
  const map = readFile(mapBlock * blockSizeBytes, mapSizeBytes);
  if (map === undefined) throw new RangeError('A PDB ends early');
  const whole = { readFile, blockSizeBytes, sizeBytes };
  const directory = readBlocks(whole, { blocks: map, at: 0, sizeBytes: directorySizeBytes }, 0, directorySizeBytes);
  return listStreams(whole, directory, budget);
}

/** The file, how large it is, and how large its blocks are. */
interface Blocks {
  readonly readFile: ReadFile;
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
}

/** The numbers of the blocks of one stream: where they stand. */
interface BlockList {
  readonly blocks: Buffer;
  readonly at: number;
  readonly sizeBytes: number;
}

/** u32 NumStreams, u32 StreamSizes[NumStreams], then the numbers of the blocks of each. */
function listStreams(whole: Blocks, directory: Buffer, budget: MemoryBudget): PdbStreams {
  const count = directory.readUInt32LE(0);
  if (4 + count * 4 > directory.length) throw new RangeError('The directory of a PDB ends early');
  budget.spend(count * 4);
  const places = new Uint32Array(count);
  let at = 4 + count * 4;
  let leftSizeBytes = whole.sizeBytes * SHARED_FACTOR_MAX;
  for (let number = 0; number < count; number++) {
    const sizeBytes = sizeAt(number);
    places[number] = at;
    at += Math.ceil(sizeBytes / whole.blockSizeBytes) * 4;
    leftSizeBytes -= sizeBytes;
    if (at > directory.length || leftSizeBytes < 0) throw new RangeError('The streams of a PDB are too long');
  }
  function sizeAt(number: number): number {
    const sizeBytes = directory.readUInt32LE(4 + number * 4);
    return sizeBytes === NO_STREAM ? 0 : sizeBytes;
  }
  return (number) => {
    if (!(number < count)) return undefined;
    const list = { blocks: directory, at: places[number]!, sizeBytes: sizeAt(number) };
    return {
      sizeBytes: list.sizeBytes,
      read: (offset, sizeBytes) => readBlocks(whole, list, offset, sizeBytes),
    };
  };
}

function readBlocks({ readFile, blockSizeBytes }: Blocks, list: BlockList, offset: number, sizeBytes: number): Buffer {
  if (!(offset >= 0 && sizeBytes >= 0 && offset + sizeBytes <= list.sizeBytes && sizeBytes <= PART_SIZE_BYTES_MAX))
    throw new RangeError('A stream of a PDB ends early');
  const parts: Buffer[] = [];
  let index = Math.floor(offset / blockSizeBytes);
  let begin = offset - index * blockSizeBytes;
  for (let left = sizeBytes; left > 0; index++, begin = 0) {
    const partSizeBytes = Math.min(left, blockSizeBytes - begin);
    const part = readFile(list.blocks.readUInt32LE(list.at + index * 4) * blockSizeBytes + begin, partSizeBytes);
    if (part === undefined) throw new RangeError('A PDB ends early');
    if (partSizeBytes === sizeBytes) return part;
    parts.push(part);
    left -= partSizeBytes;
  }
  return Buffer.concat(parts);
}

/** Reads small parts of a stream one behind the other, without a buffer for each. */
export class StreamWindow {
  readonly #stream: PdbStream;
  #start = 0;
  /** Some bytes of the stream. */
  bytes: Buffer = Buffer.alloc(0);

  constructor(stream: PdbStream) {
    this.#stream = stream;
  }

  /**
   * Moves the window to a part of the stream.
   *
   * @returns where in {@link bytes} the part begins
   * @throws RangeError where the stream or the file ends before the part does
   */
  seek(offset: number, sizeBytes: number): number {
    const at = offset - this.#start;
    if (at >= 0 && at + sizeBytes <= this.bytes.length) return at;
    // A part of one block of the container is read without a copy.
    const toBoundary = WINDOW_SIZE_BYTES - (offset % WINDOW_SIZE_BYTES);
    const left = this.#stream.sizeBytes - offset;
    this.bytes = this.#stream.read(offset, Math.max(sizeBytes, Math.min(toBoundary, left)));
    this.#start = offset;
    return 0;
  }
}

/**
 * The text at an offset of a stream, up to its NUL, which must come within 4 KiB.
 *
 * @throws RangeError where the stream ends before the text does
 */
export function readText(stream: PdbStream, offset: number): string {
  for (let sizeBytes = TEXT_STEP_SIZE_BYTES; sizeBytes <= TEXT_SIZE_BYTES_MAX; sizeBytes *= 2) {
    const part = stream.read(offset, Math.min(sizeBytes, stream.sizeBytes - offset));
    const length = part.indexOf(0);
    if (length >= 0) return part.toString('utf8', 0, length);
    if (part.length < sizeBytes) break;
  }
  throw new RangeError('A text has no end');
}
