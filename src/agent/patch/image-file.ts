const SECTION_SIZE_BYTES = 40;
const SECTIONS_MAX = 96;

/**
 * Where a file has bytes of an image, by their address in the mapped image; undefined where it has none, or is no
 * image.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 *
 * @param head the beginning of the file, with its headers
 * @param identity values of the PE header that must be the mapped image's: after an update of Windows the file may be a
 *   newer one
 */
export function placeInImageFile(
  head: Buffer,
  rva: number,
  sizeBytes: number,
  identity: readonly { readonly offset: number; readonly value: number }[],
): number | undefined {
  const pe = readUInt32(head, 0x3c); // LONG e_lfanew
  if (pe === undefined || readUInt32(head, pe) !== 0x4550) return undefined; // "PE\0\0"
  if (identity.some(({ offset, value }) => readUInt32(head, pe + offset) !== value)) return undefined;
  const sizes = readUInt32(head, pe + 20); // WORD SizeOfOptionalHeader, Characteristics
  const counts = readUInt32(head, pe + 4); // WORD Machine, NumberOfSections
  if (sizes === undefined || counts === undefined) return undefined;
  const first = pe + 24 + (sizes & 0xffff);
  const count = Math.min(counts >>> 16, SECTIONS_MAX);
  for (let index = 0; index < count; index++) {
    const at = first + index * SECTION_SIZE_BYTES;
    const [begin, fileSize, fileOffset] = [12, 16, 20].map((field) => readUInt32(head, at + field));
    if (begin === undefined || fileSize === undefined || fileOffset === undefined) return undefined;
    if (rva >= begin && rva + sizeBytes <= begin + fileSize) return fileOffset + rva - begin;
  }
  return undefined;
}

function readUInt32(file: Buffer, offset: number): number | undefined {
  return offset >= 0 && offset + 4 <= file.length ? file.readUInt32LE(offset) : undefined;
}
