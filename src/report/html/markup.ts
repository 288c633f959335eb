import { escapeText } from '../../text/escape.ts';
import { cutMiddle } from '../text-width.ts';

/** Markup that is safe to put into a document: every text in it is escaped. {@link html} and {@link raw} make it. */
class SafeMarkup {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
}

export type Markup = SafeMarkup;

/** A part of a document. Nothing stands for `undefined`. */
type Part = Markup | string | number | undefined | readonly Part[];

/**
 * Fills the holes of a template. A text becomes a text wherever its hole is, in an element or in the quotes of an
 * attribute: it can end neither, and no character of it is invisible or changes the direction of the others.
 */
export function html(template: TemplateStringsArray, ...parts: readonly Part[]): Markup {
  return new SafeMarkup(template.reduce((text, piece, index) => text + spell(parts[index - 1]) + piece));
}

/** Markup as it is, for texts of this tool that are not HTML: a style sheet, a script. */
export function raw(text: string): Markup {
  return new SafeMarkup(text);
}

/** A text made safe and cut to a number of characters in its middle, for the end of a path says more. */
export function clip(text: string, charactersMax: number): string {
  // Escaping takes time, and makes no text shorter: the middle of a long one need not be looked at.
  const ends = text.length > 2 * charactersMax ? text.slice(0, charactersMax) + text.slice(-charactersMax) : text;
  return cutMiddle(escapeText(ends), charactersMax, '…');
}

/** Markup for each of a list, at most a number of them, and a remark on how many more there are. */
export function listSome<Item>(
  items: readonly Item[],
  most: number,
  draw: (item: Item) => Markup,
  remark: (count: number) => Markup,
): readonly Markup[] {
  const rest = items.length - most;
  return [...items.slice(0, most).map(draw), ...(rest > 0 ? [remark(rest)] : [])];
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function spell(part: Part): string {
  if (part === undefined) return '';
  if (part instanceof SafeMarkup) return part.text;
  if (typeof part === 'number') return String(part);
  if (typeof part !== 'string') return part.map(spell).join('');
  return escapeText(part).replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
