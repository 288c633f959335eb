import type { SocketDescription } from '../model.ts';

const GUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;
const GUID_LENGTH = 36;
/** The least length of a word without a prefix that counts as a hexadecimal number. */
const HEXADECIMAL_LENGTH_MIN = 6;

/** The first port that Linux assigns by itself; Windows begins at 49152. Such a port means nothing. */
const FIRST_PASSING_PORT = 32_768;

/**
 * The pattern of a name: numbers in it become placeholders, so that `C:\logs\2026-11-22.log` becomes
 * `C:\logs\<n>-<n>-<n>.log`. Two handles of one type whose names have the same pattern are of the same kind.
 *
 * GUIDs are replaced first. Then come hexadecimal numbers: those with a prefix, and whole words of six or more digits
 * that contain both letters and decimal digits. Then comes every other number, also within a word: `file12`. The code
 * does without regular expressions, which take six times as long for millions of names.
 */
export function generaliseName(name: string): string {
  const text = name.length >= GUID_LENGTH && name.includes('-') ? name.replace(GUID, '<guid>') : name;
  let pattern = '';
  let copied = 0;
  let at = 0;
  while (at < text.length) {
    if (classOf(text, at) === OTHER) {
      at++;
      continue;
    }
    const start = at;
    let classes = 0;
    for (let kind = classOf(text, at); kind !== OTHER; kind = classOf(text, ++at)) classes |= kind;
    if ((classes & DIGIT) === 0) continue;
    const isHexadecimal = classes === (DIGIT | HEXADECIMAL_LETTER) && at - start >= HEXADECIMAL_LENGTH_MIN;
    pattern += text.slice(copied, start) + (isHexadecimal ? '<hex>' : generaliseWord(text, start, at));
    copied = at;
  }
  return copied === 0 ? text : pattern + text.slice(copied);
}

/** The pattern of a word: the letters and digits of `text` from `start` to `end`. */
function generaliseWord(text: string, start: number, end: number): string {
  let pattern = '';
  let copied = start;
  let at = start;
  while (at < end) {
    if (classOf(text, at) !== DIGIT) {
      at++;
      continue;
    }
    pattern += text.slice(copied, at);
    if (isPrefix(text, at, end)) {
      for (at += 2; at < end && (classOf(text, at) & (DIGIT | HEXADECIMAL_LETTER)) !== 0; ) at++;
      pattern += '<hex>';
    } else {
      while (at < end && classOf(text, at) === DIGIT && !isPrefix(text, at, end)) at++;
      pattern += '<n>';
    }
    copied = at;
  }
  return pattern + text.slice(copied, end);
}

/** Whether `0x` and a hexadecimal digit stand there. */
function isPrefix(text: string, at: number, end: number): boolean {
  if (text.charCodeAt(at) !== 0x30 || at + 2 >= end || (text.charCodeAt(at + 1) | 0x20) !== 0x78) return false;
  return (classOf(text, at + 2) & (DIGIT | HEXADECIMAL_LETTER)) !== 0;
}

const OTHER = 0;
const DIGIT = 1;
const HEXADECIMAL_LETTER = 2;
const LETTER = 4;

const classes = new Uint8Array(128);
for (const [first, last, kind] of [
  ['0', '9', DIGIT],
  ['a', 'f', HEXADECIMAL_LETTER],
  ['A', 'F', HEXADECIMAL_LETTER],
  ['g', 'z', LETTER],
  ['G', 'Z', LETTER],
] as const) {
  classes.fill(kind, first.charCodeAt(0), last.charCodeAt(0) + 1);
}

/** {@link OTHER} at the end, too. */
function classOf(text: string, at: number): number {
  const code = at < text.length ? text.charCodeAt(at) : 0;
  return code < 128 ? classes[code]! : OTHER;
}

/** The same for a socket: `TCP connected 10.0.0.5:<n> > 10.0.0.7:5432`. Ports that the system chose are left open. */
export function generaliseSocket({ protocol, local, remote, state }: SocketDescription): string {
  const ends = [local, remote].filter((end) => end !== undefined).map(generalisePort);
  return [protocol, state, ends.join(' > ')].filter((part) => part !== undefined && part !== '').join(' ');
}

function generalisePort(endpoint: string): string {
  return endpoint.replace(/:(\d+)$/, (whole, port: string) => (Number(port) >= FIRST_PASSING_PORT ? ':<n>' : whole));
}
