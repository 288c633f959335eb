// The repository's own files, and how to tell code, comments and literals apart in them.

import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const repository = fileURLToPath(new URL('../..', import.meta.url))
  .replaceAll('\\', '/')
  .replace(/\/$/, '');

/** The text of a file of the repository, with line feeds. */
export function readOwnFile(path: string): string {
  return readFileSync(`${repository}/${path}`, 'utf8').replaceAll('\r\n', '\n');
}

/** The source files below a folder of the repository. fixtures/build/ holds products of the compilers. */
export function listSourceFiles(folder: string): readonly string[] {
  return listFiles(folder, /\.(?:[cm]?[jt]s|c|h|cpp|rs)$/);
}

/** The files below a folder whose names match, by their paths from the repository's root. */
export function listFiles(folder: string, name: RegExp): readonly string[] {
  return readdirSync(`${repository}/${folder}`, { withFileTypes: true }).flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory()) return path === 'fixtures/build' ? [] : listFiles(path, name);
    return name.test(entry.name) ? [path] : [];
  });
}

/** A part of a source file that is no code: a comment, or the text of a string, a template or a regular expression. */
export interface Token {
  readonly kind: 'comment' | 'literal';
  readonly text: string;
  /** The number of its first line, from 1. */
  readonly line: number;
  /** Whether only blanks stand before it on that line. */
  readonly startsLine: boolean;
}

const innerTemplate = '`(?:\\\\[^]|[^`\\\\])*`';
const template = `\`(?:\\\\[^]|\\$\\{(?:[^\`{}]|${innerTemplate}|\\{[^{}]*\\})*\\}|[^\`\\\\])*\``;
const regularExpression =
  '(?<=[(,=:[!&|?{};>]\\s*|\\breturn\\s|^\\s*)/(?![*/])(?:\\\\.|\\[(?:\\\\.|[^\\]\\\\\\n])*\\]|[^/\\\\[\\n])+/[a-z]*';
const tokenPattern = new RegExp(
  [
    '(?<comment>//.*|/\\*[^]*?\\*/)',
    `(?<literal>'(?:\\\\[^]|[^'\\\\\\n])*'|"(?:\\\\[^]|[^"\\\\\\n])*"|${template}|${regularExpression})`,
  ].join('|'),
  'gm',
);

/** The comments and literals of a source file, in their order. Good enough for JavaScript, TypeScript and C here. */
export function findTokens(text: string): readonly Token[] {
  let line = 1;
  let end = 0;
  return [...text.matchAll(tokenPattern)].map((match) => {
    line += text.slice(end, match.index).split('\n').length - 1;
    end = match.index;
    const startsLine = text.slice(text.lastIndexOf('\n', match.index - 1) + 1, match.index).trim() === '';
    return { kind: match.groups?.['comment'] === undefined ? 'literal' : 'comment', text: match[0], line, startsLine };
  });
}

/** A source file without the texts of its literals. Their line feeds stay. */
export function withoutLiterals(text: string): string {
  return text.replace(tokenPattern, (token, comment: string | undefined) =>
    comment === undefined ? token.replace(/[^\n]/g, '') : token,
  );
}

/** A source file without its comments and the texts of its literals. Their line feeds stay. */
export function codeAlone(text: string): string {
  return text.replace(tokenPattern, (token) => token.replace(/[^\n]/g, ''));
}
