// `npm run bench:start`: what it takes to audit a program that does nothing, beside Node.js that runs an empty script; in Windows, and from
// the shell, where the launcher is a Node.js, too: there it is beside both. With `-- --stages`, also where the time goes, by Node.js' own profiler.
//
// Prints figures and asserts nothing. Runs on the host: it brings Windows, and then runs itself in Windows Node.js.
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { withoutRealPaths } from '../launcher/launch.js';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 21);
const AIM_MS = 150;
const self = fileURLToPath(import.meta.url);
/** @param {string} path */
const inProject = (path) => fileURLToPath(new URL(`../${path}`, import.meta.url));
const audit = ['run', '--', inProject('fixtures/build/does-nothing.exe')];
const command = inProject('bin/unclosed.cjs');
/** In Windows Node.js, as the launcher starts it. */
const commandInWindows = [...withoutRealPaths, inProject('bin/windows.cjs'), ...audit];

/**
 * The stages of an audit, by a function that they go through; the innermost counts.
 *
 * @type {readonly (readonly [stage: string, isIn: (functionName: string, url: string) => boolean])[]}
 */
const stages = [
  ["loading koffi's binary", (name) => name === 'loadStatic'],
  ['preparing the recorder', (name) => name === 'prepare' || name === 'Recording'],
  ['putting the recorder in place', (name) => name === 'install'],
  ['starting the target', (name) => name === 'spawn'],
  ['symbols, while the target runs', (name) => name === 'readAhead'],
  ['other symbols', (name) => name === 'resolveStack'],
  ['evidence', (name) => /^gather/.test(name)],
  ['rules', (name) => name === 'findIn'],
  ['writing the report', (name) => name === 'writeReports'],
];
const others = { tool: 'the rest of the tool', node: 'Node.js itself, and waiting' };

if (process.argv[2] !== 'measure') {
  const { runMain, setUp } = await import('../scripts/setup.js');
  const { runScript } = await import('../scripts/windows.js');
  await runMain(async () => {
    const windows = await setUp(['does-nothing']);
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));
    try {
      const empty = writeEmptyScript(directory);
      const bare = async () => (await run(process.execPath, [empty])) || (await windows.run(windows.node, [windows.toWindowsPath(empty)]));
      await compare('from the shell', bare, () => run(process.execPath, [command, ...audit]));
    } finally {
      rmSync(directory, { recursive: true });
    }
    return runScript(windows, self, ['measure', ...process.argv.slice(2)]);
  });
} else {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));
  try {
    const empty = writeEmptyScript(directory);
    await compare('in Windows', () => run(process.execPath, [empty]), () => run(process.execPath, commandInWindows));
    if (process.argv.includes('--stages')) showStages(directory);
  } finally {
    rmSync(directory, { recursive: true });
  }
}

/** @param {string} directory */
function writeEmptyScript(directory) {
  const path = join(directory, 'empty.mjs');
  writeFileSync(path, '');
  return path;
}

/**
 * By turns, so that the machine's mood counts for both.
 *
 * @param {string} where
 * @param {() => Promise<number>} bare
 * @param {() => Promise<number>} audited
 */
async function compare(where, bare, audited) {
  const bareMs = [];
  const auditedMs = [];
  await audited();
  for (let round = 0; round < ROUNDS; round++) {
    bareMs.push(await time(bare));
    auditedMs.push(await time(audited));
  }
  const differenceMs = auditedMs.map((ms, round) => ms - (bareMs[round] ?? Number.NaN));
  say(`${where}: Node.js alone ${show(bareMs)}, unclosed run ${show(auditedMs)}, difference ${show(differenceMs)} ms (aim: at most ${AIM_MS})`);
}

/** @param {() => Promise<number>} start */
async function time(start) {
  const before = performance.now();
  const code = await start();
  if (code !== 0) throw new Error(`What was to be measured ended with exit code ${code}.`);
  return performance.now() - before;
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @returns {Promise<number>}
 */
async function run(file, args) {
  const [code] = await once(spawn(file, args, { stdio: 'ignore' }), 'exit');
  return code ?? 128;
}

/**
 * Profiles whole processes.
 *
 * @param {string} directory
 */
function showStages(directory) {
  for (let round = 0; round < ROUNDS; round++) {
    const { status } = spawnSync(process.execPath, ['--cpu-prof', '--cpu-prof-interval', '250', `--cpu-prof-dir=${directory}`, ...commandInWindows], { stdio: 'ignore' });
    if (status !== 0) throw new Error(`${commandInWindows.join(' ')}: exit code ${status}`);
  }
  const profiles = readdirSync(directory).filter((name) => name.endsWith('.cpuprofile')).map((name) => splitByStage(JSON.parse(readFileSync(join(directory, name), 'utf8'))));
  for (const stage of [...stages.map(([name]) => name), ...Object.values(others)]) {
    say(`${show(profiles.map((profile) => profile.get(stage) ?? 0)).padStart(20)} ms  ${stage}`);
  }
}

/**
 * @typedef {{ id: number, children?: number[], callFrame: { functionName: string, url: string } }} ProfileNode
 * @param {{ nodes: readonly ProfileNode[], samples: readonly number[], timeDeltas: readonly number[] }} profile
 * @returns {ReadonlyMap<string, number>} milliseconds
 */
function splitByStage({ nodes, samples, timeDeltas }) {
  /** @type {Map<number, string>} */
  const stageOf = new Map();
  // A node comes before its children.
  for (const { id, children = [], callFrame } of nodes) {
    const own = stages.find(([, isIn]) => isIn(callFrame.functionName, callFrame.url))?.[0];
    const inherited = stageOf.get(id) ?? others.node;
    const stage = own ?? (inherited === others.node && /[\\/]bundle[\\/]/.test(callFrame.url) ? others.tool : inherited);
    for (const each of [id, ...children]) stageOf.set(each, stage);
  }
  const result = new Map();
  samples.forEach((id, index) => {
    const stage = stageOf.get(id);
    result.set(stage, (result.get(stage) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  });
  return result;
}

/**
 * The median, and the lowest and highest.
 *
 * @param {readonly number[]} values
 */
function show(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return `${at(sorted, 0.5)} (${at(sorted, 0)} to ${at(sorted, 1)})`;
}

/**
 * @param {readonly number[]} sorted
 * @param {number} part
 */
function at(sorted, part) {
  return (sorted[Math.floor((sorted.length - 1) * part)] ?? Number.NaN).toFixed(0);
}

/** @param {string} text */
function say(text) {
  process.stdout.write(`${text}\n`);
}
