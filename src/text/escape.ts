/**
 * Characters that must never reach a terminal as they are: control characters (C0, DEL, C1), everything invisible or
 * that changes the direction of text (`\p{C}` holds format characters, unassigned and private code points and lone
 * surrogates; Default_Ignorable the rest), line and paragraph separators, and spaces that are not the space.
 */
const unprintable = (): RegExp => /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]|(?! )\p{Zs}/gu;
const outsideAscii: RegExp = /[^\x20-\x7e]/gu;
/** Nearly all texts need no other test: the tables of Unicode's properties take a while to load. */
const printableAscii: RegExp = /^[\x20-\x7e]*$/;
const printableAsciiLines: RegExp = /^[\n\x20-\x7e]*$/;

const shortForms: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/**
 * Text that came from a target, made safe to show: one line, all of it visible, nothing a terminal would obey.
 * `\n`, `\x1b` and `\u{202e}` stand for what was there. Backslashes stay as they are, so that paths stay readable:
 * the result is for eyes, not for decoding. Escaping twice changes nothing.
 *
 * @param ascii replaces everything outside of ASCII as well, for consoles that cannot show it
 */
export function escapeText(text: string, ascii: boolean = false): string {
  if (printableAscii.test(text)) return text;
  const visible = text.replace(unprintable(), escapeCharacter);
  return ascii ? visible.replace(outsideAscii, escapeCharacter) : visible;
}

function escapeCharacter(character: string): string {
  const code = character.codePointAt(0)!;
  return (
    shortForms[character] ?? (code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`)
  );
}

/**
 * Escapes within JSON text what JSON allows but a terminal or an editor obeys, hides or takes for the end of a line:
 * the same characters as {@link escapeText}, but for spaces. The parsed value is the same, and line feeds between
 * values stay.
 */
export function escapeJson(json: string): string {
  if (printableAsciiLines.test(json)) return json;
  return json.replace(/(?![\0-\x1f])[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu, (character) =>
    Array.from(
      { length: character.length },
      (_, index) => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}
