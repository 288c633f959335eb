// `npm test [-- <part of a path> …]`: does the set-up that is needed, and runs all tests, or some of them. At the end
// it names the slowest test files; the last line is the sum. Without a compiler, which only Windows may lack, the tests
// of compiled programs are skipped, and counted. It names the tests that lack something else, too.
//
// test/unit and test/windows run by vitest in Windows Node.js, under Wine on Linux; test/cli starts bin/unclosed.cjs
// as a user does, so it runs in the Node.js of this machine, by its own test runner. They run side by side: vitest;
// test/cli/own-prefix, each file of which makes a Wine prefix for itself; and the rest of test/cli.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { cacheDirectory } from '../launcher/cache.js';
import { say } from '../launcher/failure.js';
import { checkTestTypes } from './build.js';
import { countTests, needsCompiledPrograms } from './compiled-programs.js';
import { wingetCommand } from './mingw.js';
import { root, runMain, setUp } from './setup.js';
import { checkStyle } from './style.js';
import { findWindows, runScript } from './windows.js';

/** @import { Windows } from './windows.js' */
/** @typedef {{ passed: number, failed: number, files: readonly TestFile[] }} Sum */
/** @typedef {{ path: string, durationMs: number, skips: readonly Skip[] }} TestFile */
/** @typedef {{ isGroup: boolean, why: string }} Skip */

const SLOWEST_COUNT = 10;

await runMain(async () => {
  const filters = process.argv.slice(2);
  const windowsTests = listTests('test/windows', filters);
  const allHostTests = listTests('test/cli', filters);
  // The tests in test/unit need no fixtures.
  const needsFixtures = allHostTests.length > 0 || windowsTests.length > 0;
  const windows = await setUp(needsFixtures ? undefined : []);
  const leftOut = [...windowsTests, ...allHostTests].filter(
    (path) => !windows.hasFixtures && needsCompiledPrograms(root, path),
  );
  const hostTests = allHostTests.filter((path) => !leftOut.includes(path));
  // Vitest has a prefix already. The other tests get a prefix of their own, so that they do not see each other's
  // processes.
  if (hostTests.length > 0 && process.platform !== 'win32') await moveHome();
  const checks = filters.length === 0 ? [await checkSources(windows)] : [];
  const isApart = (/** @type {string} */ path) => path.startsWith('test/cli/own-prefix/');
  const sums = await Promise.all([
    ...checks,
    runVitest(windows, filters, leftOut),
    runHostTests(hostTests.filter(isApart)),
    runHostTests(hostTests.filter((path) => !isApart(path))),
  ]);
  const passed = sums.reduce((total, sum) => total + sum.passed, 0);
  const failed = sums.reduce((total, sum) => total + sum.failed, 0);
  const files = sums.flatMap((sum) => sum.files);
  process.stdout.write(`${describeSlowest(files)}${describeSkipped(files)}`);
  const skipped = leftOut.reduce((total, path) => total + countTests(root, path), 0);
  if (skipped > 0)
    say(`No gcc of mingw is on the PATH, so ${leftOut.length} test files were skipped. To run them: ${wingetCommand}`);
  process.stdout.write(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}\n`);
  // A run without any test fails, too.
  return failed === 0 && passed > 0 ? 0 : 1;
});

/**
 * The style of all files, and the types of the tests.
 *
 * @param {Windows} windows
 * @returns {Promise<Sum>}
 */
async function checkSources(windows) {
  const hasStyle = await checkStyle(windows);
  if (!hasStyle)
    process.stderr.write('The style is not the house’s: npm run style -- --write sets right what it can.\n');
  const hasTypes = await checkTestTypes(root, windows);
  const failed = [hasStyle, hasTypes].filter((isGood) => !isGood).length;
  return { passed: 2 - failed, failed, files: [] };
}

/** Gives all later programs a cache with the same packages, but with another Wine prefix. */
async function moveHome() {
  const cache = cacheDirectory(process.env);
  const home = join(cache, 'tests');
  mkdirSync(home, { recursive: true });
  if (!existsSync(join(home, 'packages'))) symlinkSync(join(cache, 'packages'), join(home, 'packages'));
  process.env.UNCLOSED_HOME = home;
  await findWindows();
}

/**
 * @param {Windows} windows
 * @param {readonly string[]} filters
 * @param {readonly string[]} leftOut
 * @returns {Promise<Sum>}
 */
async function runVitest(windows, filters, leftOut) {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-test-'));
  try {
    const results = join(directory, 'results.json');
    const code = await runScript(windows, join(root, 'node_modules/vitest/vitest.mjs'), [
      'run',
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${windows.toWindowsPath(results)}`,
      ...leftOut.map((path) => `--exclude=${path}`),
      ...filters,
    ]);
    // Vitest may crash. A file that cannot be imported, or an error outside of tests, does not count as a failed test.
    if (!existsSync(results)) return { passed: 0, failed: 1, files: [] };
    /**
     * @type {{
     *   numPassedTests: number,
     *   numFailedTests: number,
     *   testResults: { name: string, startTime: number, endTime: number, assertionResults: { status: string }[] }[],
     * }}
     */
    const { numPassedTests: passed, numFailedTests: failed, testResults } = JSON.parse(readFileSync(results, 'utf8'));
    const files = testResults.map(({ name, startTime, endTime, assertionResults }) => ({
      path: /test\/(?:unit|windows)\/.*$/.exec(name.replaceAll('\\', '/'))?.[0] ?? name,
      durationMs: endTime - startTime,
      skips: assertionResults
        .filter(({ status }) => status !== 'passed' && status !== 'failed')
        .map(() => ({ isGroup: false, why: '' })),
    }));
    return { passed, failed: code === 0 ? failed : Math.max(failed, 1), files };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * @param {readonly string[]} tests
 * @returns {Promise<Sum>}
 */
async function runHostTests(tests) {
  const sum = { passed: 0, failed: 0, files: /** @type {TestFile[]} */ ([]) };
  if (tests.length === 0) return sum;
  const events = run({ files: tests.map((path) => join(root, path)), concurrency: 1 });
  /** @type {Map<string, number>} */
  const durations = new Map();
  /** @type {Map<string, Skip[]>} */
  const skips = new Map();
  const count = (
    /** @type {{ file?: string | undefined, nesting: number, details: { duration_ms: number } }} */ {
      file,
      nesting,
      details,
    },
  ) => {
    if (file !== undefined && nesting === 0) durations.set(file, (durations.get(file) ?? 0) + details.duration_ms);
  };
  events.on('test:pass', (test) => {
    count(test);
    const { details, skip, file = '' } = test;
    const isGroup = details.type === 'suite';
    if (skip !== undefined) {
      const one = { isGroup, why: typeof skip === 'string' ? skip : '' };
      skips.set(file, [...(skips.get(file) ?? []), one]);
    } else if (!isGroup) sum.passed += 1;
  });
  events.on('test:fail', (test) => {
    count(test);
    if (test.details.type !== 'suite') sum.failed += 1;
  });
  for await (const text of events.compose(new spec())) process.stdout.write(text);
  sum.files = [...durations].map(([file, durationMs]) => ({
    path: relative(root, file).replaceAll('\\', '/'),
    durationMs,
    skips: skips.get(file) ?? [],
  }));
  return sum;
}

/**
 * Test files below a directory whose paths hold one of the filters, as vitest understands them.
 *
 * @param {string} directory
 * @param {readonly string[]} filters
 * @returns {readonly string[]}
 */
function listTests(directory, filters) {
  return readdirSync(join(root, directory), { recursive: true, encoding: 'utf8' })
    .filter((name) => /\.test\.[jt]s$/.test(name))
    .map((name) => `${directory}/${name.replaceAll('\\', '/')}`)
    .filter((path) => filters.length === 0 || filters.some((filter) => path.includes(filter.replaceAll('\\', '/'))));
}

/**
 * @param {readonly TestFile[]} files
 * @returns {string} a line for each of the slowest
 */
function describeSlowest(files) {
  const slowest = files.toSorted((one, other) => other.durationMs - one.durationMs).slice(0, SLOWEST_COUNT);
  const rows = slowest.map(({ path, durationMs }) => `${(durationMs / 1000).toFixed(1).padStart(8)} s  ${path}\n`);
  return rows.length === 0 ? '' : `\nThe slowest test files:\n${rows.join('')}`;
}

/**
 * How many tests of each file lack something that this machine does not have, and what that is. A group whose tests
 * were not even counted is `all`.
 *
 * @param {readonly TestFile[]} files
 * @returns {string}
 */
function describeSkipped(files) {
  const lines = files.flatMap(({ path, skips }) => {
    /** @type {Map<string, number>} */
    const counts = new Map();
    for (const { isGroup, why } of skips) {
      const line = `${path}${why && `: ${why}`}`;
      counts.set(line, isGroup ? Number.POSITIVE_INFINITY : (counts.get(line) ?? 0) + 1);
    }
    return Array.from(
      counts,
      ([line, count]) => `${(Number.isFinite(count) ? `${count}` : 'all').padStart(8)}  ${line}\n`,
    );
  });
  return lines.length === 0 ? '' : `\nSkipped:\n${lines.join('')}`;
}
