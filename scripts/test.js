// `npm test [-- <part of a path> …]`: all tests, after whatever set-up they take. The last line is the sum.
//
// test/unit and test/windows run by vitest in Windows Node.js, under Wine on Linux; test/cli starts bin/unclosed.cjs
// as a user does, so it runs in the Node.js of this machine, by its own test runner.
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { run } from 'node:test';
import { spec } from 'node:test/reporters';
import { root, runMain, setUp } from './setup.js';
import { runScript } from './windows.js';

/** @import { Windows } from './windows.js' */
/** @typedef {{ passed: number, failed: number }} Sum */

await runMain(async () => {
  const filters = process.argv.slice(2);
  const windows = await setUp();
  const sums = [await runVitest(windows, filters), await runHostTests(filters)];
  const passed = sums.reduce((total, sum) => total + sum.passed, 0);
  const failed = sums.reduce((total, sum) => total + sum.failed, 0);
  process.stdout.write(`\n${passed} passed, ${failed} failed\n`);
  // No test at all is no success.
  return failed === 0 && passed > 0 ? 0 : 1;
});

/**
 * @param {Windows} windows
 * @param {readonly string[]} filters
 * @returns {Promise<Sum>}
 */
async function runVitest(windows, filters) {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-test-'));
  try {
    const results = join(directory, 'results.json');
    const code = await runScript(windows, join(root, 'node_modules/vitest/vitest.mjs'), [
      'run',
      '--passWithNoTests',
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${windows.toWindowsPath(results)}`,
      ...filters,
    ]);
    const { numPassedTests: passed, numFailedTests: failed } = existsSync(results)
      ? JSON.parse(readFileSync(results, 'utf8'))
      : { numPassedTests: 0, numFailedTests: 0 };
    // Vitest may crash; a file that cannot be imported, or an error outside of any test, fails no test of its own.
    return { passed, failed: code === 0 && existsSync(results) ? failed : Math.max(failed, 1) };
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/**
 * @param {readonly string[]} filters
 * @returns {Promise<Sum>}
 */
async function runHostTests(filters) {
  const files = readdirSync(join(root, 'test/cli'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.test.js'))
    .map((name) => join(root, 'test/cli', name))
    .filter((file) => filters.length === 0 || filters.some((filter) => relative(root, file).replaceAll('\\', '/').includes(filter)));
  const sum = { passed: 0, failed: 0 };
  if (files.length === 0) return sum;
  const events = run({ files, concurrency: 1 });
  events.on('test:pass', ({ details, skip }) => {
    if (details.type !== 'suite' && skip === undefined) sum.passed += 1;
  });
  events.on('test:fail', ({ details }) => {
    if (details.type !== 'suite') sum.failed += 1;
  });
  for await (const text of events.compose(new spec())) process.stdout.write(text);
  return sum;
}
