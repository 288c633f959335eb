import { lastAtOrBelow } from '../sorted-search.ts';
import type { PdbLayout } from './dbi.ts';
import { readText } from './msf.ts';

/** A name that the linker knew, decorated. */
interface PublicSymbol {
  readonly name: string;
  /** Relative to the image. */
  readonly begin: number;
}

const S_PUB32 = 0x110e;
const HEADER_SIZE_BYTES = 28;
/** u16 length, u16 kind, u32 flags, u32 offset, u16 section, name */
const NAME_AT = 14;
const CODE_OR_FUNCTION = 3;
/** Data stand between functions, and several names may stand for one address. */
const NEIGHBOURS_MAX = 16;

/**
 * The nearest function among the public symbols at an address or below. Each look-up reads a few symbols of a list that
 * the linker sorted by address; nothing is kept. In a list that is not sorted it finds another name, or none.
 *
 * @throws RangeError where the symbols are damaged
 * @see https://llvm.org/docs/PDB/PublicStream.html
 */
export function findPublic({ publics, records, toRva }: PdbLayout, rva: number): PublicSymbol | undefined {
  if (publics === undefined || records === undefined || publics.sizeBytes < HEADER_SIZE_BYTES) return undefined;
  const header = publics.read(0, HEADER_SIZE_BYTES); // u32 SymHash, u32 AddrMap: sizes of the hash table and the list
  const listAt = HEADER_SIZE_BYTES + header.readUInt32LE(0);
  const count = Math.floor(header.readUInt32LE(4) / 4);
  const read = (index: number): { at: number; begin: number; isCode: boolean } => {
    const at = publics.read(listAt + index * 4, 4).readUInt32LE(0);
    const symbol = records.read(at, NAME_AT);
    const begin = toRva(symbol.readUInt16LE(12), symbol.readUInt32LE(8));
    const isCode = symbol.readUInt16LE(2) === S_PUB32 && (symbol.readUInt32LE(4) & CODE_OR_FUNCTION) !== 0;
    // A symbol of no section (an absolute one) stands at the end of the list.
    return { at, begin: begin ?? 2 ** 32, isCode };
  };
  const last = lastAtOrBelow(count, (index) => read(index).begin, rva);
  for (let index = last; index >= Math.max(0, last + 1 - NEIGHBOURS_MAX); index--) {
    const { at, begin, isCode } = read(index);
    if (isCode && begin <= rva) return { name: readText(records, at + NAME_AT), begin };
  }
  return undefined;
}
