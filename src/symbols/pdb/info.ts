import { ByteCursor } from '../dwarf/byte-cursor.ts';
import type { PdbStream } from './msf.ts';

/** The description that a PDB has of itself. */
interface PdbInfo {
  /** The GUID, 16 bytes. */
  readonly guid: Buffer;
  /** How often it was written since it was made. The one that the linker knew stands in the stream of modules. */
  readonly age: number;
  /** Numbers of the streams that have names. */
  readonly namedStreams: ReadonlyMap<string, number>;
}

/** PdbImplVC70: since Visual C++ 7.0, the first with a GUID. */
const VERSION_MIN = 20_000_404;
/** Real PDBs name a dozen streams, and a few more where sources are embedded. */
const STREAM_SIZE_BYTES_MAX = 1 << 20;

/**
 * Reads the stream that says what a PDB is.
 *
 * @returns `undefined` for a version without a GUID
 * @throws RangeError where it is damaged
 * @see https://llvm.org/docs/PDB/PdbStream.html
 */
export function readInfo(stream: PdbStream): PdbInfo | undefined {
  const bytes = stream.read(0, Math.min(stream.sizeBytes, STREAM_SIZE_BYTES_MAX));
  const cursor = new ByteCursor(bytes, 0);
  const version = cursor.u32();
  if (version < VERSION_MIN) return undefined;
  cursor.skip(4); // u32 Signature: when it was made
  const age = cursor.u32();
  cursor.skip(16);
  const guid = bytes.subarray(cursor.at - 16, cursor.at);
  return { guid, age, namedStreams: readNamedStreams(bytes, cursor) };
}

/**
 * The names, and a hash table from the places of the names to the numbers of the streams.
 *
 * @see https://llvm.org/docs/PDB/HashTable.html
 */
function readNamedStreams(bytes: Buffer, cursor: ByteCursor): ReadonlyMap<string, number> {
  const namesSizeBytes = cursor.u32();
  const namesAt = cursor.at;
  cursor.skip(namesSizeBytes);
  const count = cursor.u32();
  cursor.skip(4); // u32 Capacity
  for (const _ of ['present', 'deleted']) cursor.skip(cursor.u32() * 4);
  const found = new Map<string, number>();
  // Each takes eight bytes of a stream of bounded size.
  for (let index = 0; index < count; index++) {
    const name = new ByteCursor(bytes, namesAt + cursor.u32(), namesAt + namesSizeBytes).text();
    found.set(name, cursor.u32());
  }
  return found;
}
