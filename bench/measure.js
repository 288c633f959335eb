// The common part of the benchmarks: options, the way into Windows, alternating rounds, and the spelling of figures.
//
// A benchmark prints figures and asserts nothing. Each of its sizes is an option (`npm run bench:scale -- --calls
// 10000`). `--smoke` makes all sizes so small that the benchmark takes seconds: `npm test` runs every benchmark that
// way, to check that it works.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

import { LaunchFailure } from '../launcher/failure.js';
import { runMain, setUp } from '../scripts/setup.js';
import { runScript } from '../scripts/windows.js';

/** @import { Windows } from '../scripts/windows.js' */

/**
 * @template {string} Size
 * @typedef {object} Benchmark
 * @property {Readonly<Record<Size, { full: number, smoke: number }>>} sizes
 * @property {readonly string[]} [flags] options without a value
 * @property {readonly string[]} [texts] options whose value is a word
 * @property {boolean} [takesNames] whether there may be arguments besides options
 * @property {(options: Options<Size>) => readonly string[]} programs the fixtures that it needs
 * @property {(windows: Windows, options: Options<Size>) => Promise<void>} [onHost] measures outside of Windows, first
 * @property {(options: Options<Size>) => Promise<number | void>} inWindows gives the exit code, if it is not 0
 */

/**
 * @template {string} Size
 * @typedef {Readonly<Record<Size, number>> & { flags: ReadonlySet<string>, texts: ReadonlyMap<string, string>,
 *   names: readonly string[] }} Options
 */

/** @param {string} path */
export const inProject = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));

/** @param {string} name */
export const fixture = (name) => inProject(`fixtures/build/${name}.exe`);

/** The tool as a user of Windows starts it: an argument of Node.js. */
export const tool = inProject('bin/unclosed.cjs');

/**
 * The first argument of a benchmark that already runs in Windows Node.js. On Windows there is no other sign of that.
 */
const inside = 'in-windows';

/**
 * Runs a benchmark. On the host it does the set-up, and runs the same script again in Windows Node.js.
 *
 * @template {string} Size
 * @param {string} url of the script
 * @param {Benchmark<Size>} benchmark
 */
export async function runBenchmark(url, benchmark) {
  await runMain(async () => {
    const isInside = process.argv[2] === inside;
    const args = process.argv.slice(isInside ? 3 : 2);
    const options = readOptions(benchmark, args);
    if (isInside) return (await benchmark.inWindows(options)) ?? 0;
    const windows = await setUp(benchmark.programs(options));
    await benchmark.onHost?.(windows, options);
    return runScript(windows, fileURLToPath(url), [inside, ...args]);
  });
}

/**
 * @template {string} Size
 * @param {Benchmark<Size>} benchmark
 * @param {string[]} args
 * @returns {Options<Size>}
 */
function readOptions({ sizes, flags = [], texts = [], takesNames = false }, args) {
  /** @type {readonly (readonly [string, { full: number, smoke: number }])[]} */
  const entries = Object.entries(sizes);
  const switches = ['smoke', ...flags];
  const usage = [
    ...switches.map((name) => `--${name}`),
    ...texts.map((name) => `--${name} <name>`),
    ...entries.map(([name, { full }]) => `--${name} ${full}`),
  ].join(', ');
  const { values, positionals } = parse();
  const numbers = entries.map(([name, { full, smoke }]) => {
    const value = Number(values[name] ?? (values['smoke'] === true ? smoke : full));
    if (!Number.isSafeInteger(value) || value < 1)
      throw new LaunchFailure(`"${values[name]}" is no number for --${name}. Try ${usage}.`);
    return [name, value];
  });
  return {
    ...Object.fromEntries(numbers),
    flags: new Set(flags.filter((name) => values[name] === true)),
    texts: new Map(texts.flatMap((name) => (values[name] === undefined ? [] : [[name, String(values[name])]]))),
    names: positionals,
  };

  function parse() {
    /** @type {Record<string, { type: 'string' | 'boolean' }>} */
    const options = {};
    for (const name of [...texts, ...entries.map(([name]) => name)]) options[name] = { type: 'string' };
    for (const name of switches) options[name] = { type: 'boolean' };
    try {
      return parseArgs({ args, options, allowPositionals: takesNames });
    } catch (error) {
      const [reason] = error instanceof Error ? error.message.split('. ', 1) : [error];
      throw new LaunchFailure(`${reason}. Try ${usage}.`);
    }
  }
}

/**
 * @template Result
 * @param {(directory: string) => Promise<Result>} use
 * @returns {Promise<Result>}
 */
export async function withDirectory(use) {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * Runs a program to its end.
 *
 * @param {string} file
 * @param {readonly string[]} args
 * @param {string} [output] the file for its stdout
 * @returns {{ tookMs: number, stdout: string }}
 * @throws Error when it fails
 */
export function run(file, args, output) {
  const descriptor = output === undefined ? 'pipe' : openSync(output, 'w');
  const start = performance.now();
  const { status, error, stdout, stderr } = spawnSync(file, args, {
    stdio: ['ignore', descriptor, 'pipe'],
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  const tookMs = performance.now() - start;
  if (descriptor !== 'pipe') closeSync(descriptor);
  if (error !== undefined || status !== 0)
    throw new Error(`${[file, ...args].join(' ')}: exit code ${status}: ${error?.message ?? stderr}`);
  return { tookMs, stdout: stdout ?? '' };
}

/** Milliseconds that this Node.js takes to start and to end: the measure of a machine. */
export function startNode() {
  return run(process.execPath, ['-e', '0']).tookMs;
}

/**
 * Measures several things by turns, so that changes in the machine's speed affect all of them.
 *
 * @template {Readonly<Record<string, () => unknown>>} Things
 * @param {number} rounds
 * @param {Things} things
 * @returns {Promise<{ [Name in keyof Things]: Awaited<ReturnType<Things[Name]>>[] }>} for each, one result per round
 */
export async function measureByTurns(rounds, things) {
  const names = Object.keys(things);
  /** @type {Record<string, unknown[]>} */
  const results = Object.fromEntries(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const name of names) results[name]?.push(await things[name]?.());
  }
  return /** @type {any} */ (results);
}

/**
 * Combines two figures of each round.
 *
 * @param {readonly number[]} these
 * @param {readonly number[]} those
 * @param {(one: number, other: number) => number} combine
 */
export function pairwise(these, those, combine) {
  return these.map((one, round) => combine(one, those[round] ?? Number.NaN));
}

/**
 * @param {readonly number[]} these
 * @param {readonly number[]} those
 */
export function ratios(these, those) {
  return pairwise(these, those, (one, other) => one / other);
}

/**
 * The median, and the lowest and highest: `791 (768 to 840)`.
 *
 * @param {readonly number[]} values
 * @param {number} digits
 */
export function spell(values, digits) {
  if (values.length === 0 || !values.every(Number.isFinite))
    throw new Error(`Cannot tell the median of [${values.join(', ')}]: these are no figures.`);
  const [lowest, highest] = [Math.min(...values), Math.max(...values)].map((value) => value.toFixed(digits));
  return `${median(values).toFixed(digits)}${values.length > 1 ? ` (${lowest} to ${highest})` : ''}`;
}

/** @param {readonly number[]} values */
function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  const [lower, upper] = [sorted[(sorted.length - 1) >> 1], sorted[sorted.length >> 1]];
  return lower === undefined || upper === undefined ? Number.NaN : (lower + upper) / 2;
}

/** @param {number} count */
export function spellCount(count) {
  return count.toLocaleString('en');
}

/** @param {string} line */
export function say(line) {
  writeSync(1, `${line}\n`);
}
