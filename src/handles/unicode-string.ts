/** UTF-16 text of at most `sizeBytes` bytes at `offset`, cut where the buffer ends. */
export function readCountedString(buffer: Buffer, offset: number, sizeBytes: number): string {
  const end = Math.min(offset + (sizeBytes & ~1), buffer.length & ~1);
  return offset < end ? buffer.toString('utf16le', offset, end) : '';
}

/**
 * The text that follows a UNICODE_STRING at the start of a buffer: +0 USHORT Length in bytes, +8 PWSTR Buffer, +16 the
 * text. That is how NtQueryObject answers; the pointer says the same as an address and is not followed.
 */
export function readUnicodeString(buffer: Buffer): string {
  return readCountedString(buffer, 16, buffer.readUInt16LE(0));
}
