/**
 * Compiles a pattern as the sanitizers do: `*` is any text, `^` and `$` are the ends, and without them the pattern
 * matches anywhere. Case does not matter, as in Windows' names, and slashes are backslashes.
 *
 * It makes no regular expression: one with several asterisks takes cubic time, and names come from the target.
 */
export function compilePattern(pattern: string): (text: string) => boolean {
  const begins = pattern.startsWith('^');
  const ends = pattern.endsWith('$');
  const body = `${begins ? '' : '*'}${pattern.slice(begins ? 1 : 0, ends ? -1 : undefined)}${ends ? '' : '*'}`;
  const [head = '', ...others] = fold(body).split(/\*+/);
  const tail = others.pop();
  return (text) => {
    const folded = fold(text);
    if (tail === undefined) return folded === head;
    if (!folded.startsWith(head)) return false;
    let from = head.length;
    for (const part of others) {
      const found = folded.indexOf(part, from);
      if (found < 0) return false;
      from = found + part.length;
    }
    return folded.length - tail.length >= from && folded.endsWith(tail);
  };
}

function fold(text: string): string {
  return text.toLowerCase().replaceAll('/', '\\');
}
