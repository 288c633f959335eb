const bufferSizeBytes = 1 << 20;
/** The longest piece that fits into the buffer whatever is in it: a UTF-16 unit takes three bytes at most. */
const pieceLengthMax = Math.floor(bufferSizeBytes / 3);

/**
 * The UTF-8 bytes of a text that comes in pieces, about a mebibyte at a time. Each part is good until the next one is
 * asked for: all of them lie in the same memory, because new memory for a gigabyte of text takes longer than all else.
 */
export function* encodePieces(pieces: string | Iterable<string>): Iterable<Uint8Array> {
  const buffer = Buffer.allocUnsafe(bufferSizeBytes);
  let used = 0;
  for (const piece of typeof pieces === 'string' ? [pieces] : pieces) {
    if (used + piece.length * 3 > buffer.length && used > 0) {
      yield buffer.subarray(0, used);
      used = 0;
    }
    if (piece.length > pieceLengthMax) yield Buffer.from(piece);
    else used += buffer.write(piece, used, 'utf8');
  }
  if (used > 0) yield buffer.subarray(0, used);
}
