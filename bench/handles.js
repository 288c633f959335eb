// `npm run bench:handles`: `unclosed handles --csv` side by side with a reference in C that makes the same calls and prints
// the same words, alternating, as whole processes; and the memory that a table of a million handles takes.
//
// Prints ratios and asserts nothing. Runs on the host: it brings Windows, and then runs itself in Windows Node.js.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const ROUNDS = 5;
const HANDLES = Number(process.env['BENCH_HANDLES'] ?? 100_000);
const MANY_HANDLES = Number(process.env['BENCH_MANY_HANDLES'] ?? 1_000_000);
const tool = fileURLToPath(new URL('../bin/unclosed.cjs', import.meta.url));
/** @param {string} name */
const program = (name) => fileURLToPath(new URL(`../fixtures/build/${name}.exe`, import.meta.url));

if (process.argv[2] !== 'measure') {
  const { runMain, setUp } = await import('../scripts/setup.js');
  const { runScript } = await import('../scripts/windows.js');
  await runMain(async () => runScript(await setUp(), fileURLToPath(import.meta.url), ['measure']));
} else {
  await measureAll();
}

async function measureAll() {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));
  try {
    const bareMs = median(Array.from({ length: ROUNDS }, () => time(process.execPath, ['-e', '0'])));
    say(`node's bare start: ${bareMs.toFixed(0)} ms (median of ${ROUNDS})`);
    await compare(directory, bareMs, false);
    await compare(directory, bareMs, true);
    await measureMemory(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/**
 * @param {string} directory
 * @param {number} bareMs
 * @param {boolean} named
 */
async function compare(directory, bareMs, named) {
  const target = await hold(HANDLES, named);
  try {
    const [ours, theirs] = [join(directory, 'ours.csv'), join(directory, 'theirs.csv')];
    const pid = String(target.pid);
    const timesMs = { tool: /** @type {number[]} */ ([]), reference: /** @type {number[]} */ ([]) };
    for (let round = 0; round < ROUNDS; round++) {
      timesMs.reference.push(time(program('lists-handles'), [pid, theirs, ...(named ? ['names'] : [])]));
      timesMs.tool.push(time(process.execPath, [tool, 'handles', pid, '--csv', ...(named ? [] : ['--no-names'])], ours));
    }
    const [toolMs, referenceMs] = [median(timesMs.tool), median(timesMs.reference)];
    say(`\n${HANDLES.toLocaleString('en')} handles ${named ? 'with' : 'without'} names: tool ${spread(timesMs.tool)}, C ${spread(timesMs.reference)}`);
    if (named) say(`  tool / C = ${(toolMs / referenceMs).toFixed(2)} (aim: at most 1.2)`);
    else say(`  tool / (C + node's bare start) = ${(toolMs / (referenceMs + bareMs)).toFixed(2)} (aim: at most 1.5)`);
    const events = [ours, theirs].map((file) => readFileSync(file, 'utf8').split('\n').filter((line) => line.includes(',Event,')));
    const same = JSON.stringify(events[0]) === JSON.stringify(events[1]);
    say(`  the same ${events[0]?.length.toLocaleString('en')} lines of events from both: ${same ? 'yes' : 'NO'}`);
  } finally {
    target.kill();
  }
}

/** @param {string} directory */
async function measureMemory(directory) {
  const target = await hold(MANY_HANDLES, false);
  try {
    const [result, preload] = [join(directory, 'memory'), join(directory, 'preload.mjs')];
    writeFileSync(
      preload,
      `import { writeFileSync } from 'node:fs';\nprocess.on('exit', () => writeFileSync(${JSON.stringify(result)}, String(process.resourceUsage().maxRSS)));\n`,
    );
    const output = join(directory, 'many.csv');
    for (const args of [['--count-only'], ['--csv', '--no-names']]) {
      const tookMs = time(process.execPath, ['--import', pathToFileURL(preload).href, tool, 'handles', String(target.pid), ...args], output);
      const peakMB = Number(readFileSync(result, 'utf8')) / 1024;
      say(`\n${MANY_HANDLES.toLocaleString('en')} handles ${args.join(' ')}: peak ${peakMB.toFixed(0)} MB (aim: below 300), ${(tookMs / 1000).toFixed(1)} s, ${statSync(output).size.toLocaleString('en')} bytes`);
    }
  } finally {
    target.kill();
  }
}

/**
 * A process with that many handles.
 *
 * @param {number} count
 * @param {boolean} named
 */
async function hold(count, named) {
  const target = spawn(program('holds-handles'), [String(count), ...(named ? ['named'] : [])], { stdio: ['ignore', 'pipe', 'inherit'] });
  await once(target.stdout, 'data');
  return target;
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @param {string} [output] where its stdout goes
 * @returns {number} milliseconds
 */
function time(file, args, output) {
  const descriptor = output === undefined ? 'ignore' : openSync(output, 'w');
  const start = performance.now();
  const { status, error, stderr } = spawnSync(file, args, { stdio: ['ignore', descriptor, 'pipe'], encoding: 'utf8' });
  const tookMs = performance.now() - start;
  if (descriptor !== 'ignore') closeSync(descriptor);
  if (error !== undefined || status !== 0) throw new Error(`${file} ${args.join(' ')}: exit code ${status}: ${error?.message ?? stderr}`);
  return tookMs;
}

/** @param {readonly number[]} values */
function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** @param {readonly number[]} timesMs */
function spread(timesMs) {
  return `${median(timesMs).toFixed(0)} ms (${Math.min(...timesMs).toFixed(0)} to ${Math.max(...timesMs).toFixed(0)})`;
}

/** @param {string} line */
function say(line) {
  writeSync(1, `${line}\n`);
}
