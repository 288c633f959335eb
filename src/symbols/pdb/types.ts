import type { MemoryBudget } from '../memory-budget.ts';
import { lastAtOrBelow } from '../sorted-search.ts';
import type { PdbStream, PdbStreams } from './msf.ts';

/** A record of a type stream or an id stream. */
export interface TypeRecord {
  readonly kind: number;
  /** All of it: u16 length of what follows, u16 kind, and what kind means. */
  readonly bytes: Buffer;
}

/** Finds records by their numbers: `undefined` where there is none of that number. */
export type TypeRecords = (index: number) => TypeRecord | undefined;

const HEADER_SIZE_BYTES = 56;
const NO_STREAM = 0xffff;
/** The linker notes where one record in about 8 KiB begins. */
const STEPS_MAX = 4096;
const STEP_SIZE_BYTES_MAX = 1 << 17;
const NOTES_SIZE_BYTES_MAX = 1 << 24;

/**
 * Opens a stream of types or ids for look-ups. Nothing is kept but where some of the records begin; the linker notes
 * these. A stream without such notes has no records here.
 *
 * @throws RangeError where it is damaged, or finds no room in memory
 * @see https://llvm.org/docs/PDB/TpiStream.html
 */
export function openTypes(stream: PdbStream, streams: PdbStreams, budget: MemoryBudget): TypeRecords {
  // +4 u32 HeaderSize, +8 u32 TypeIndexBegin, +12 u32 TypeIndexEnd, +20 u16 HashStreamIndex,
  // +40 u32 IndexOffsetBufferOffset, +44 u32 IndexOffsetBufferLength
  const header = stream.read(0, HEADER_SIZE_BYTES);
  const headerSizeBytes = header.readUInt32LE(4);
  const [first, end] = [header.readUInt32LE(8), header.readUInt32LE(12)];
  const hashNumber = header.readUInt16LE(20);
  const hashes = hashNumber === NO_STREAM ? undefined : streams(hashNumber);
  const notesSizeBytes = header.readUInt32LE(44);
  if (hashes === undefined || notesSizeBytes > NOTES_SIZE_BYTES_MAX) return () => undefined;
  budget.spend(notesSizeBytes);
  const notes = hashes.read(header.readUInt32LE(40), notesSizeBytes); // u32 type index, u32 offset
  const noteCount = Math.floor(notes.length / 8);
  return (index) => {
    if (!(index >= first && index < end)) return undefined;
    const note = lastAtOrBelow(noteCount, (each) => notes.readUInt32LE(each * 8), index);
    if (note < 0) return undefined;
    const start = headerSizeBytes + notes.readUInt32LE(note * 8 + 4);
    const steps = index - notes.readUInt32LE(note * 8);
    if (steps > STEPS_MAX) return undefined;
    let at = start;
    for (let left = steps; left > 0 && at - start <= STEP_SIZE_BYTES_MAX; left--)
      at += 2 + stream.read(at, 2).readUInt16LE(0);
    if (at - start > STEP_SIZE_BYTES_MAX) return undefined;
    const sizeBytes = 2 + stream.read(at, 2).readUInt16LE(0);
    const bytes = stream.read(at, sizeBytes);
    return { kind: bytes.readUInt16LE(2), bytes };
  };
}
