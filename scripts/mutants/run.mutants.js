// Tries the changes. Each is made in one module, which then runs anew with all that import it; the tests that run the
// changed function follow until one of them fails. Those that have noticed most changes of the file come first.
import { readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { expect, it } from 'vitest';

import { listChanges } from './changes.js';
import { compile, Modules } from './modules.js';
import { Collector } from './tests.js';

/** @import { Change } from './changes.js' */
/** @import { Body, Namespace } from './modules.js' */

/**
 * @typedef {object} Outcome
 * @property {string} path of the module
 * @property {number} line
 * @property {string} kind
 * @property {string} replacement
 * @property {boolean} isNoticed
 */

/**
 * A test as it is known before a change.
 *
 * @typedef {object} Known
 * @property {string} file
 * @property {number} index in its file
 * @property {ReadonlySet<string>} hits the functions that it runs
 * @property {number} tookMs of the processor
 * @property {number} rounds of its loops
 */

const areas = [
  {
    source: 'src/analyze',
    tests: ['test/unit/analyze', 'test/unit/config/verdicts.test.ts', 'test/unit/marks/sections-in-findings.test.ts'],
  },
  { source: 'src/baseline', tests: ['test/unit/baseline'] },
];
/** Tests that take longer are left out: some try a law on thousands of random values. */
const longestMs = Number(process.env['MUTANTS_LONGEST_MS'] ?? Number.POSITIVE_INFINITY);
const filters = (process.env['MUTANTS_FILTERS'] ?? '').split('\n').filter(Boolean);

let collector = new Collector();
const modules = new Modules({
  vitest: {
    expect,
    get describe() {
      return collector.names.describe;
    },
    get it() {
      return collector.names.it;
    },
  },
});
const nothing = () => {};
/** With ten times as many rounds as the test has without the change, it is a loop without end. */
const roundsMax = 1_000_000;

it('tries all changes', async () => {
  /** @type {Outcome[]} */
  const outcomes = [];
  for (const { source, tests } of areas) {
    const paths = listFiles(source, '.ts').filter((path) => filters.every((filter) => path.includes(filter)));
    if (paths.length === 0) continue;
    const files = tests.flatMap((path) => (path.endsWith('.ts') ? [path] : listFiles(path, '.test.ts')));
    for (const each of [...files, ...paths]) await modules.read(resolve(each));
    const known = [];
    for (const file of files) known.push(...(await learn(resolve(file))).filter(({ tookMs }) => tookMs <= longestMs));
    for (const path of paths) {
      const before = outcomes.length;
      for await (const outcome of tryChanges(path, known)) outcomes.push(outcome);
      const found = outcomes.slice(before);
      console.log(`${path}: ${found.filter(({ isNoticed }) => isNoticed).length} of ${found.length} noticed`);
      writeFileSync(process.env['MUTANTS_RESULTS'] ?? 'mutants.json', JSON.stringify(outcomes));
    }
  }
});

/**
 * @param {string} folder
 * @param {string} ending
 * @returns {readonly string[]} paths with slashes
 */
function listFiles(folder, ending) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith(ending))
    .map((name) => join(folder, name).replaceAll('\\', '/'))
    .sort();
}

/**
 * Runs the tests of a file, and notes which functions each of them runs.
 *
 * @param {string} file
 * @returns {Promise<readonly Known[]>}
 */
async function learn(file) {
  /** @type {Set<string>} */
  let hits = new Set();
  const hit = (/** @type {string} */ id) => void hits.add(id);
  modules.beginTest();
  const tests = load(file, new Map(), undefined, hit);
  const atFirst = hits;
  const known = [];
  for (const [index, { run }] of tests.entries()) {
    hits = new Set();
    modules.beginTest();
    const began = process.cpuUsage();
    await run();
    const { user } = process.cpuUsage(began);
    known.push({ file, index, hits: new Set([...atFirst, ...hits]), tookMs: user / 1000, rounds: modules.rounds });
  }
  return known;
}

/**
 * @param {string} file
 * @param {Map<string, Namespace>} loaded
 * @param {{ path: string, body: Body } | undefined} changed
 * @param {(id: string) => void} hit
 */
function load(file, loaded, changed, hit) {
  collector = new Collector();
  modules.run(file, loaded, changed, hit);
  return collector.tests;
}

/**
 * @param {string} path
 * @param {readonly Known[]} known
 * @returns {AsyncGenerator<Outcome>}
 */
async function* tryChanges(path, known) {
  const module = resolve(path);
  const { code } = modules.get(module);
  const reaching = new Map(known.map(({ file }) => [file, modules.reach(file).has(module)]));
  const near = known.filter(({ file }) => reaching.get(file) === true);
  // Modules that the change does not reach run once for all changes.
  /** @type {Map<string, Namespace>} */
  const others = new Map();
  for (const file of new Set(near.map((each) => each.file)))
    for (const each of modules.reach(file))
      if (!modules.reach(each).has(module)) modules.run(each, others, undefined, nothing);
  /** @type {Map<Known, number>} */
  const noticed = new Map();
  for (const change of listChanges(code)) {
    const { functionStart } = change;
    const covering = near
      .filter(({ hits }) => functionStart === undefined || hits.has(`${module} ${functionStart}`))
      .sort((a, b) => (noticed.get(b) ?? 0) - (noticed.get(a) ?? 0) || a.tookMs - b.tookMs);
    const killer = await findFailing(module, code, change, covering, others);
    if (typeof killer === 'object') noticed.set(killer, (noticed.get(killer) ?? 0) + 1);
    yield {
      path,
      line: code.slice(0, change.start).split('\n').length,
      kind: change.kind,
      replacement: `${code.slice(change.start, change.end)} → ${change.replacement}`,
      isNoticed: killer !== undefined,
    };
  }
}

/**
 * @param {string} path
 * @param {string} code
 * @param {Change} change
 * @param {readonly Known[]} tests
 * @param {ReadonlyMap<string, Namespace>} others
 * @returns {Promise<Known | 'at once' | undefined>} the first test that fails
 */
async function findFailing(path, code, change, tests, others) {
  /** @type {{ path: string, body: Body }} */
  let changed;
  try {
    changed = { path, body: compile(path, code, change) };
  } catch {
    return 'at once'; // it is no program any more, as a compiler would say
  }
  const loaded = new Map(others);
  /** @type {Map<string, readonly { run: () => unknown }[]>} */
  const files = new Map();
  for (const test of tests) {
    try {
      modules.beginTest(roundsMax);
      let own = files.get(test.file);
      if (own === undefined) files.set(test.file, (own = load(test.file, loaded, changed, nothing)));
      modules.beginTest(roundsMax + 10 * test.rounds);
      await own[test.index]?.run();
    } catch {
      return test;
    }
  }
  return undefined;
}
