/** Few system calls write a long text in parts of this length. */
const lengthMin = 1 << 18;

/** The same text in fewer and longer pieces. A string is one piece already. */
export function* joinPieces(pieces: string | Iterable<string>): Iterable<string> {
  if (typeof pieces === 'string') {
    yield pieces;
    return;
  }
  let parts: string[] = [];
  let length = 0;
  for (const piece of pieces) {
    parts.push(piece);
    length += piece.length;
    if (length < lengthMin) continue;
    yield parts.join('');
    parts = [];
    length = 0;
  }
  if (length > 0) yield parts.join('');
}
