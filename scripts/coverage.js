// `npm run coverage`: the share of lines that the unit tests run, in each folder of the code that judges and reports.
// It fails when an area has less than it should.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { root, runMain, setUp } from './setup.js';
import { runScript } from './windows.js';

/** @typedef {{ total: number, covered: number }} Lines */

/** Every fault in these areas is a wrong report. */
const areas = ['analyze', 'report', 'baseline'];
const leastPercent = 95;

await runMain(async () => {
  const windows = await setUp([]);
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-coverage-'));
  try {
    const code = await runScript(windows, join(root, 'node_modules/vitest/vitest.mjs'), [
      'run',
      '--project=unit',
      '--reporter=dot',
      '--coverage.enabled',
      `--coverage.include=src/{${areas.join(',')}}/**`,
      '--coverage.reporter=json-summary',
      `--coverage.reportsDirectory=${windows.toWindowsPath(directory)}`,
    ]);
    if (code !== 0) return code;
    const folders = addUpFolders(JSON.parse(readFileSync(join(directory, 'coverage-summary.json'), 'utf8')));
    for (const [folder, lines] of folders) process.stdout.write(describe(folder, lines));
    process.stdout.write('\n');
    let isEnough = true;
    for (const area of areas) {
      const within = [...folders].filter(([folder]) => `${folder}/`.startsWith(`src/${area}/`));
      const lines = sum(within.map(([, each]) => each));
      process.stdout.write(describe(`src/${area}, with its folders`, lines));
      isEnough &&= percent(lines) >= leastPercent;
    }
    if (!isEnough) process.stderr.write(`An area has less than ${leastPercent} % of its lines covered.\n`);
    return isEnough ? 0 : 1;
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/**
 * @param {Record<string, { lines: Lines }>} files by their paths, with an entry `total`
 * @returns {ReadonlyMap<string, Lines>} the folders below the project's directory, in order
 */
function addUpFolders(files) {
  /** @type {Map<string, Lines>} */
  const folders = new Map();
  for (const [path, { lines }] of Object.entries(files)) {
    const folder = /\bsrc[\\/].*(?=[\\/])/.exec(relative(root, path))?.[0].replaceAll('\\', '/');
    if (folder !== undefined) folders.set(folder, sum([folders.get(folder) ?? { total: 0, covered: 0 }, lines]));
  }
  return new Map([...folders].sort(([one], [other]) => (one < other ? -1 : 1)));
}

/**
 * @param {readonly Lines[]} parts
 * @returns {Lines}
 */
function sum(parts) {
  return parts.reduce((all, { total, covered }) => ({ total: all.total + total, covered: all.covered + covered }), {
    total: 0,
    covered: 0,
  });
}

/**
 * @param {Lines} lines
 * @returns {number}
 */
function percent({ total, covered }) {
  return total === 0 ? 100 : (100 * covered) / total;
}

/**
 * @param {string} name
 * @param {Lines} lines
 * @returns {string}
 */
function describe(name, lines) {
  return `${percent(lines).toFixed(1).padStart(6)} %  ${name} (${lines.covered} of ${lines.total} lines)\n`;
}
