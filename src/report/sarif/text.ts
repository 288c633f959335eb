import { cutText } from '../../text/cut.ts';
import { escapeText } from '../../text/escape.ts';

const lengthMax = 4000;

/**
 * A plain text as a message of SARIF has it (3.11). Braces are doubled, because `{0}` stands for an argument. A link,
 * `[text](target)`, is taken apart: names of the target must not lead anywhere.
 */
export function messageText(text: string): string {
  return cutText(escapeText(text), lengthMax).replaceAll('](', '] (').replaceAll('{', '{{').replaceAll('}', '}}');
}

/** A name that the target chose, on one line and not too long. */
export function nameText(text: string): string {
  return cutText(escapeText(text), 500);
}

/** A path with slashes as a relative URI. Halves of surrogate pairs, which no URI can hold, become U+FFFD. */
export function uriOfPath(path: string): string {
  return path
    .split('/')
    .map((part) => encodeURIComponent(part.replace(/\p{Surrogate}/gu, '\ufffd')))
    .join('/');
}

/** The URI of a directory, with a slash at its end. */
export function uriOfDirectory(path: string): string {
  const slashed = path.replaceAll('\\', '/').replace(/\/*$/, '/');
  const uri = uriOfPath(slashed).replace(/^(\w)%3A/, '$1:');
  return slashed.startsWith('//') ? `file:${uri}` : `file://${slashed.startsWith('/') ? '' : '/'}${uri}`;
}
