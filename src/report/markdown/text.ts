import { cutText } from '../../text/cut.ts';
import { escapeText } from '../../text/escape.ts';

/** A word that no dialect of Markdown and no forge gives a meaning: letters, or a short number. */
const plainWord = /^[("“]?(?:[A-Za-z]+(?:[-'’][A-Za-z]+)*|\d{1,6})[)"”]?[,;:.!?]?$/;
/** Punctuation that stands behind a word, but is none of it. */
const trailing = /[,;:.!?]$/;

/**
 * A name as code. Nothing in it is a link, a mention, HTML or the end of the code, whatever it holds: a fence is longer
 * than any run of backticks in it.
 *
 * @param lengthMax in UTF-16 units, after its invisible characters were escaped
 */
export function codeSpan(text: string, lengthMax: number = 200): string {
  const shown = cutText(escapeText(text), lengthMax);
  if (shown.trim() === '') return '`(empty)`';
  const fence = '`'.repeat(longestRun(shown) + 1);
  // One space at each end belongs to the fence. Without it, a backtick would join the fence.
  const pad = /^[` ]|[` ]$/.test(shown) ? ' ' : '';
  return `${fence}${pad}${shown}${pad}${fence}`;
}

/**
 * A sentence with names in it, as Markdown. Words that may be more than words are code: `open_log (log.c:4)`, and
 * likewise `@name`, `#12`, `<b>` and `https://…`, so that none of them means anything.
 */
export function prose(sentence: string, lengthMax: number = 2000): string {
  const words = cutText(escapeText(sentence), lengthMax).split(' ');
  const parts: string[] = [];
  let code: string[] = [];
  const endCode = (): void => {
    if (code.length === 0) return;
    const text = code.join(' ');
    const end = trailing.exec(text)?.[0] ?? '';
    const name = end === '' ? text : text.slice(0, -1);
    parts.push(name === '' ? codeSpan(text, lengthMax) : `${codeSpan(name, lengthMax)}${end}`);
    code = [];
  };
  for (const word of words) {
    const isPlain = plainWord.test(word) && !(parts.length === 0 && code.length === 0 && /^\d+\.$/.test(word));
    if (!isPlain && word !== '') code.push(word);
    else {
      endCode();
      if (word !== '') parts.push(word);
    }
  }
  endCode();
  return parts.join(' ');
}

/** Lines as a block of code, which nothing in them ends. */
export function codeBlock(lines: readonly string[]): string {
  const fence = '`'.repeat(Math.max(3, longestRun(lines.join('\n')) + 1));
  return [`${fence}text`, ...lines, fence].join('\n');
}

function longestRun(text: string): number {
  return Math.max(0, ...(text.match(/`+/g) ?? []).map((run) => run.length));
}
