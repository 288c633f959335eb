import { posix } from 'node:path';

import { describe, expect, it } from 'vitest';
import { codeAlone, listSourceFiles, readOwnFile, withoutLiterals } from './own-files.ts';

const LINES_MAX = 400;
const FILES_MAX = 20;
const COLUMNS_MAX = 120;

/**
 * The folders whose files are counted. fixtures/ is left out: its programs lie side by side, each named for its one
 * bug.
 */
const folders = ['src', 'action', 'bin', 'launcher', 'scripts', 'bench', 'test'];
const files = [...folders, 'fixtures'].flatMap(listSourceFiles);

describe('sizes', () => {
  it('were measured of every kind of source', () => {
    const kinds = [...new Set(files.map((path) => posix.extname(path)))].toSorted();
    expect(kinds).toEqual(['.c', '.cjs', '.cpp', '.h', '.js', '.mjs', '.rs', '.ts']);
  });

  it(`no file has more than ${LINES_MAX} lines`, () => {
    const long = files
      .map((path) => ({ path, lines: readOwnFile(path).replace(/\n$/, '').split('\n').length }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long.map(({ path, lines }) => `${path}: ${lines} lines`)).toEqual([]);
  });

  it(`no folder has more than ${FILES_MAX} files directly in it`, () => {
    const counts = new Map<string, number>();
    for (const folder of folders.flatMap(listSourceFiles).map((path) => posix.dirname(path))) {
      counts.set(folder, (counts.get(folder) ?? 0) + 1);
    }
    const full = [...counts].filter(([, count]) => count > FILES_MAX);
    expect(full.map(([folder, count]) => `${folder}: ${count} files`)).toEqual([]);
  });

  // A string, a template, a regular expression or an address stays in one piece, however long it is.
  it(`no line has more than ${COLUMNS_MAX} columns, not counting literals and addresses`, () => {
    const wide = files.flatMap((path) =>
      withoutLiterals(readOwnFile(path))
        .replace(/https:\/\/\S+/g, '')
        .split('\n')
        .flatMap((line, index) => (line.length > COLUMNS_MAX ? [`${path}:${index + 1}: ${line.length} columns`] : [])),
    );
    expect(wide).toEqual([]);
  });

  it('knows a literal where it ends: none leaves a quote behind in the code', () => {
    const mistaken = files.filter((path) => /['"`]/.test(codeAlone(readOwnFile(path))));
    expect(mistaken).toEqual([]);
  });
});
