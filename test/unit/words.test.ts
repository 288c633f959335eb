import { describe, expect, it } from 'vitest';
import { findTokens, listFiles, listSourceFiles, readOwnFile } from './own-files.ts';

/** A piece of prose: a comment, a message, or a paragraph, item or cell of a page. */
interface Passage {
  /** Where it begins: `file:line`. */
  readonly place: string;
  readonly text: string;
}

/** Where a sentence begins: at the beginning of a passage, or behind the end of another sentence. */
const BEGIN = /(?:^|[.!?:]["”)]*\s)["“(]*/.source;

/** A way of writing that makes a text hard to read. */
interface Habit {
  readonly title: string;
  readonly found: RegExp;
  /** A text with the habit. */
  readonly bad: string;
  /** The same in plain English. */
  readonly plain: string;
}

const habits: readonly Habit[] = [
  {
    title: '“is told”',
    found: /\b(?:is|are|was|were) told\b(?! (?:apart|from)\b)/i,
    bad: 'The child is told its handles.',
    plain: 'The parent names the handles to the child. Two of them are told apart by their types.',
  },
  {
    title: '“it is said”',
    found: /\bit is said\b/i,
    bad: 'When a name is missing, it is said.',
    plain: 'The report says when a name is missing.',
  },
  {
    title: '“somebody” and “nobody”',
    found: /\b(?:some|no|any)body\b|\b(?:some|any)one\b/i,
    bad: 'Creates a pipe that nobody reads.',
    plain: 'Creates a pipe without a reader.',
  },
  {
    title: 'a sentence that begins with “Of”',
    found: new RegExp(`${BEGIN}Of (?!course\\b)`),
    bad: 'Both are closed. Of the handles, one was inherited.',
    plain: 'Both are closed. One of the handles was inherited. Of course the other was not.',
  },
  {
    title: 'a sentence that begins with a clause of “What” or “Who”',
    found: new RegExp(`${BEGIN}(?:What|Who)\\b[^.!?]*(?:[.!]|$)`),
    bad: 'What a report shows, whatever its format.',
    plain: 'The choice of what a report shows. What else could it be?',
  },
];

/** Text without code in backticks, fences and links' addresses. */
function withoutCode(text: string): string {
  return text
    .replace(/^( *)```[^]*?^\1```$/gm, (code) => code.replace(/[^\n]/g, ''))
    .replace(/`[^`]*`/g, (code) => code.replace(/[^\n]/g, '') || '_')
    .replace(/\]\([^)]*\)/g, ']');
}

/** The paragraphs, items and cells of a page. Headings and bold words before a paragraph are titles, not sentences. */
function findPassagesOfPage(path: string): readonly Passage[] {
  let line = 1;
  return withoutCode(readOwnFile(path))
    .replace(/^\*\*[^*]*\*\*/gm, '')
    .split(/(\n(?=\s*(?:\n|[-*|]\s|\d+\.\s|#))|\s\|\s)/)
    .flatMap((part) => {
      const place = `${path}:${line + (/^\s*/.exec(part)?.[0].split('\n').length ?? 1) - 1}`;
      line += part.split('\n').length - 1;
      const text = part
        .replace(/^\s*(?:[-*|]|\d+\.)?\s+/, '')
        .replace(/\s+/g, ' ')
        .trim();
      return text === '' || /^\s*#/.test(part) ? [] : [{ place, text }];
    });
}

/**
 * The comments of a source file: lines that follow one another are one. With messages: its literals of many words, too.
 */
function findPassagesOfSource(path: string, withMessages: boolean): readonly Passage[] {
  const passages: { place: string; text: string; next: number }[] = [];
  for (const { kind, text, line, startsLine } of findTokens(readOwnFile(path))) {
    if (kind === 'literal') {
      if (withMessages && !text.startsWith('/') && text.includes(' ')) {
        passages.push({ place: `${path}:${line}`, text: text.slice(1, -1), next: 0 });
      }
      continue;
    }
    const isLine = text.startsWith('//') && startsLine;
    const lines = text
      .replace(/^\/\*\*?|\*\/$/g, '')
      .split('\n')
      .map((each) => each.replace(/^\s*(?:\/\/|\*)?\s?/, ''));
    const last = passages.at(-1);
    if (isLine && last?.next === line && lines[0] !== '') {
      last.text += ` ${lines[0]}`;
      last.next += 1;
      continue;
    }
    // A blank line and a tag begin a passage of their own.
    let at = line;
    for (const part of lines.join('\n').split(/\n(?=\s*(?:\n|@|- ))/)) {
      passages.push({ place: `${path}:${at}`, text: part.replace(/\s+/g, ' ').trim(), next: isLine ? line + 1 : 0 });
      at += part.split('\n').length;
    }
  }
  return passages.map(({ place, text }) => ({ place, text: withoutCode(text) }));
}

const pages = ['README.md', 'CHANGELOG.md', ...listFiles('docs', /\.md$/), ...listFiles('.github', /./), 'action.yml'];
const passages: readonly Passage[] = [
  ...pages.flatMap(findPassagesOfPage),
  ...['src', 'action', 'bin', 'launcher', 'scripts', 'bench']
    .flatMap(listSourceFiles)
    .flatMap((path) => findPassagesOfSource(path, true)),
  // Literals there are programs, names of targets and what tools print, too.
  ...['test', 'fixtures'].flatMap(listSourceFiles).flatMap((path) => findPassagesOfSource(path, false)),
];

describe('prose', () => {
  it('was read in every kind of file', () => {
    const kinds = new Set(passages.map(({ place }) => /\.[a-z]+(?=:\d+$)/.exec(place)?.[0]));
    expect([...kinds].toSorted()).toEqual(['.c', '.cjs', '.cpp', '.h', '.js', '.md', '.mjs', '.rs', '.ts', '.yml']);
  });

  it.each(habits)('has nowhere $title', ({ found }) => {
    const hits = passages.filter(({ text }) => found.test(text));
    expect(hits.map(({ place, text }) => `${place}: ${text}`)).toEqual([]);
  });

  it.each(habits)('is recognised with and without $title', ({ found, bad, plain }) => {
    expect([found.test(bad), found.test(plain)]).toEqual([true, false]);
  });
});
