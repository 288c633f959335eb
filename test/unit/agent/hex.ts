/** Bytes as two hexadecimal digits each, as a disassembler prints them. */
export function hex(bytes: Iterable<number>): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(' ');
}
