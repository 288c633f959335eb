// `npm run mutants [-- <part of a path> …]`: changes the code that judges findings in small ways, one at a time, and
// says which of the changes no unit test notices. It fails when the tests notice too few. It takes minutes.
//
// scripts/mutants/run.mutants.js does the work, within vitest: it needs vitest's `expect`.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { root, runMain, setUp } from './setup.js';
import { runScript } from './windows.js';

/** @import { Outcome } from './mutants/run.mutants.js' */
/** @typedef {{ noticed: number, unnoticed: number }} Counts */

const areas = ['src/analyze', 'src/baseline'];
const leastPercent = 80;
const shownMax = 60;

await runMain(async () => {
  const windows = await setUp([]);
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-mutants-'));
  const results = join(directory, 'outcomes.json');
  try {
    const vitest = join(root, 'node_modules/vitest/vitest.mjs');
    const code = await runScript(windows, vitest, ['run', '--config=scripts/mutants/vitest.config.js'], {
      MUTANTS_FILTERS: process.argv.slice(2).join('\n'),
      MUTANTS_RESULTS: windows.toWindowsPath(results),
    });
    if (code !== 0) return code;
    return report(JSON.parse(readFileSync(results, 'utf8')));
  } finally {
    rmSync(directory, { recursive: true });
  }
});

/**
 * Prints the changes that were not noticed, and the share of those that were, by file and area.
 *
 * @param {readonly Outcome[]} outcomes
 * @returns {number} the exit code
 */
function report(outcomes) {
  let isEnough = outcomes.length > 0;
  for (const area of areas) {
    const within = outcomes.filter(({ path }) => path.startsWith(`${area}/`));
    for (const path of new Set(within.map((each) => each.path))) {
      const ofFile = within.filter((each) => each.path === path);
      process.stdout.write(describe(path, count(ofFile)));
      for (const { line, kind, replacement, isNoticed } of ofFile)
        if (!isNoticed) process.stdout.write(`          line ${line}: ${kind}: ${cut(replacement)}\n`);
    }
    if (within.length === 0) continue;
    process.stdout.write(`${describe(area, count(within))}\n`);
    isEnough &&= percent(count(within)) >= leastPercent;
  }
  if (!isEnough)
    process.stderr.write(`The tests notice less than ${leastPercent} % of the changes, or there were none.\n`);
  return isEnough ? 0 : 1;
}

/**
 * @param {readonly Outcome[]} outcomes
 * @returns {Counts}
 */
function count(outcomes) {
  const noticed = outcomes.filter(({ isNoticed }) => isNoticed).length;
  return { noticed, unnoticed: outcomes.length - noticed };
}

/**
 * @param {Counts} counts
 * @returns {number}
 */
function percent({ noticed, unnoticed }) {
  return (100 * noticed) / Math.max(1, noticed + unnoticed);
}

/**
 * @param {string} name
 * @param {Counts} counts
 * @returns {string}
 */
function describe(name, counts) {
  return `${percent(counts).toFixed(1).padStart(6)} %  ${name} (${counts.noticed} noticed, ${counts.unnoticed} not)\n`;
}

/**
 * @param {string} text
 * @returns {string}
 */
function cut(text) {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length > shownMax ? `${line.slice(0, shownMax)}…` : line;
}
