import { escapeText } from '../text/escape.ts';

/** A path or a name of C++ may be longer than any reader wants. */
const LABEL_LENGTH_MAX = 200;

/** A name that came from a target, as the value of an attribute: one visible line of bounded length. */
export function toLabel(name: string): string {
  const text = escapeText(name.slice(0, 2 * LABEL_LENGTH_MAX));
  return text.length <= LABEL_LENGTH_MAX ? text : `${text.slice(0, LABEL_LENGTH_MAX - 1)}…`;
}
