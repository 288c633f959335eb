const SECTION_SIZE_BYTES = 40;
const SECTIONS_MAX = 96;

/**
 * Bytes of an image as its file has them, by their address in the mapped image; undefined where the file has none, or
 * is no image.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 *
 * @param identity values of the PE header that must be the mapped image's: after an update of Windows the file may be a
 *   newer one
 */
export function bytesOfImageFile(
  file: Buffer,
  rva: number,
  sizeBytes: number,
  identity: readonly { readonly offset: number; readonly value: number }[],
): Uint8Array | undefined {
  const head = readUInt32(file, 0x3c); // LONG e_lfanew
  if (head === undefined || readUInt32(file, head) !== 0x4550) return undefined; // "PE\0\0"
  if (identity.some(({ offset, value }) => readUInt32(file, head + offset) !== value)) return undefined;
  const sizes = readUInt32(file, head + 20); // WORD SizeOfOptionalHeader, Characteristics
  const counts = readUInt32(file, head + 4); // WORD Machine, NumberOfSections
  if (sizes === undefined || counts === undefined) return undefined;
  const first = head + 24 + (sizes & 0xffff);
  const count = Math.min(counts >>> 16, SECTIONS_MAX);
  for (let index = 0; index < count; index++) {
    const at = first + index * SECTION_SIZE_BYTES;
    const [begin, fileSize, fileOffset] = [12, 16, 20].map((field) => readUInt32(file, at + field));
    if (begin === undefined || fileSize === undefined || fileOffset === undefined) return undefined;
    if (rva < begin || rva + sizeBytes > begin + fileSize) continue;
    const place = fileOffset + rva - begin;
    return place + sizeBytes <= file.length ? new Uint8Array(file.subarray(place, place + sizeBytes)) : undefined;
  }
  return undefined;
}

function readUInt32(file: Buffer, offset: number): number | undefined {
  return offset >= 0 && offset + 4 <= file.length ? file.readUInt32LE(offset) : undefined;
}
