/** Characters that fill two cells of a terminal: East Asian wide and fullwidth forms, and emoji. */
const wide: RegExp =
  /[\u1100-\u115f\u2329\u232a\u2e80-\u303e\u3040-\u3247\u3250-\u4dbf\u4e00-\ua4c6\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6b\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{1f200}-\u{1f2ff}\u{20000}-\u{3fffd}]|\p{Emoji_Presentation}/u;
/**
 * Marks that are drawn over the character before them. Those of other scripts are counted as a cell: terminals differ.
 */
const combining: RegExp = /[\u0300-\u036f]/;

/** How many cells of a terminal the text fills. The text is escaped already: nothing in it is invisible. */
export function textWidth(text: string): number {
  let width = 0;
  for (const character of text) width += characterWidth(character);
  return width;
}

function characterWidth(character: string): number {
  if (character >= ' ' && character <= '~') return 1;
  return combining.test(character) ? 0 : wide.test(character) ? 2 : 1;
}

/** The text filled up with spaces to a width. */
export function padText(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - textWidth(text)));
}

/** The text cut at its end to a width, with the ellipsis to show it. */
export function cutEnd(text: string, width: number, ellipsis: string): string {
  if (textWidth(text) <= width) return text;
  return takeStart(text, width - textWidth(ellipsis)) + takeStart(ellipsis, width);
}

/** The text cut in its middle to a width; a third of what stays is its start, for the end of a path says more. */
export function cutMiddle(text: string, width: number, ellipsis: string): string {
  if (textWidth(text) <= width) return text;
  const room = width - textWidth(ellipsis);
  if (room < 2) return cutEnd(text, width, ellipsis);
  const start = takeStart(text, Math.floor(room / 3));
  return start + ellipsis + takeEnd(text, room - textWidth(start));
}

/** Lines of at most a width, broken at spaces, and within a word only where the word alone is too wide. */
export function wrapText(text: string, width: number): readonly string[] {
  const lines: string[] = [];
  let line = '';
  for (let word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (textWidth(joined) <= width) {
      line = joined;
      continue;
    }
    if (line !== '') lines.push(line);
    while (textWidth(word) > width) {
      // At least one character a line, however narrow the width.
      const head = takeStart(word, width) || ([...word][0] ?? '');
      lines.push(head);
      word = word.slice(head.length);
    }
    line = word;
  }
  if (line !== '' || lines.length === 0) lines.push(line);
  return lines;
}

/** The lines of an item of a list, with its bullet. The text is escaped already. */
export function wrapBullet(text: string, bullet: string, width: number): readonly string[] {
  return wrapText(text, width - 4).map((line, index) => (index === 0 ? `  ${bullet} ${line}` : `    ${line}`));
}

/** The first lines of a text. Where it has more, the ellipsis ends the last one. */
export function cutLines(lines: readonly string[], count: number, width: number, ellipsis: string): readonly string[] {
  if (lines.length <= count) return lines;
  const last = lines[count - 1] ?? '';
  return [...lines.slice(0, count - 1), takeStart(last, width - textWidth(ellipsis)) + ellipsis];
}

function takeStart(text: string, width: number): string {
  let taken = '';
  let used = 0;
  for (const character of text) {
    used += characterWidth(character);
    if (used > width) break;
    taken += character;
  }
  return taken;
}

function takeEnd(text: string, width: number): string {
  const taken: string[] = [];
  let used = 0;
  for (const character of [...text].reverse()) {
    used += characterWidth(character);
    if (used > width) break;
    taken.push(character);
  }
  return taken.reverse().join('');
}
