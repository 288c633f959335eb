import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path/posix';

/** Words by which a test, or what it imports, names programs that a compiler has made. */
const fixtureWords = /\bfixture(?:Path|Folder|s)\b|fixtures[\\/]+build/;
/** A helper that says where they are, and needs none. */
const declarations = ['test/windows/tool.ts'];
/** It runs the benchmarks, and most of these measure compiled programs. */
const benchmarks = 'test/cli/own-prefix/bench.test.js';

/**
 * Whether a test needs programs that a compiler makes: it, or a helper that it imports, names one.
 *
 * @param {string} root
 * @param {string} path with slashes, from the root
 * @param {Set<string>} [seen]
 * @returns {boolean}
 */
export function needsCompiledPrograms(root, path, seen = new Set()) {
  if (seen.has(path) || declarations.includes(path)) return false;
  seen.add(path);
  const text = readFileSync(join(root.replaceAll('\\', '/'), path), 'utf8');
  if (path === benchmarks || fixtureWords.test(text)) return true;
  const imports = [...text.matchAll(/\sfrom '(\.[^']+)'/g)].map(([, specifier = '']) => join(dirname(path), specifier));
  return imports.filter((each) => each.startsWith('test/')).some((each) => needsCompiledPrograms(root, each, seen));
}

/**
 * How many tests a file has, as far as its text says: a table of cases counts once.
 *
 * @param {string} root
 * @param {string} path
 */
export function countTests(root, path) {
  return readFileSync(join(root.replaceAll('\\', '/'), path), 'utf8').match(/^\s*(?:it|test)\b[.(]/gm)?.length ?? 0;
}
