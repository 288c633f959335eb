/** The size of a page, and the least alignment of sections in memory. */
const pageBytes = 0x1000;

/**
 * Copies an executable file so that each section begins at a page of the file, as it does in memory.
 *
 * Wine maps such a section from the file, and reads only the pages that are used. Linkers align sections to 512 bytes;
 * Wine then reads the whole file into memory at each start, which took half of a start of Node.js. Everything in the
 * image is as it was. The signature is left out, because it is not of this file.
 *
 * The layout is that of the PE format (https://learn.microsoft.com/windows/win32/debug/pe-format).
 *
 * @param {Uint8Array} file an executable for x64 whose sections are aligned to pages in memory
 * @returns {Uint8Array}
 * @throws {RangeError} when the headers point out of the file
 */
export function alignToPages(file) {
  const headers = new DataView(new Uint8Array(file.subarray(0, pageBytes)).buffer); // a copy, also of a Buffer
  const u16 = (/** @type {number} */ at) => headers.getUint16(at, true);
  const u32 = (/** @type {number} */ at) => headers.getUint32(at, true);
  const put32 = (/** @type {number} */ at, /** @type {number} */ value) => headers.setUint32(at, value, true);

  const fileHeader = u32(0x3c) + 4; //                     e_lfanew, behind the signature
  const optionalHeader = fileHeader + 20;
  const firstSection = optionalHeader + u16(fileHeader + 16);
  const headersBytes = u32(optionalHeader + 60); //        DWORD SizeOfHeaders
  put32(optionalHeader + 36, pageBytes); //                DWORD FileAlignment
  put32(optionalHeader + 60, pageBytes); //                DWORD SizeOfHeaders
  put32(optionalHeader + 112 + 4 * 8, 0); //               DataDirectory[SECURITY].VirtualAddress
  put32(optionalHeader + 112 + 4 * 8 + 4, 0); //           DataDirectory[SECURITY].Size
  /** @type {{ from: number, size: number, to: number }[]} */
  const moves = [];
  let end = pageBytes;
  for (let index = 0; index < u16(fileHeader + 2); index += 1) {
    const section = firstSection + index * 40;
    const [size, from] = [u32(section + 16), u32(section + 20)]; // DWORD SizeOfRawData, PointerToRawData
    if (size === 0) continue;
    if (from + size > file.length) throw new RangeError(`Section ${index} ends behind the end of the file.`);
    moves.push({ from, size, to: end });
    put32(section + 16, alignUp(size));
    put32(section + 20, end);
    end += alignUp(size);
  }
  const aligned = new Uint8Array(end);
  aligned.set(new Uint8Array(headers.buffer, 0, headersBytes));
  for (const { from, size, to } of moves) aligned.set(file.subarray(from, from + size), to);
  return aligned;
}

/** @param {number} bytes */
function alignUp(bytes) {
  return Math.ceil(bytes / pageBytes) * pageBytes;
}
