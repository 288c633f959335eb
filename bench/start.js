// `npm run bench:start`: measures how long the audit of a program that does nothing takes, and compares it with a
// Node.js that runs an empty script. It does so in Windows, and from the shell of Linux, where the launcher is another
// Node.js: there it is compared with two of them. With `-- --stages` it also shows where the time goes, by the profiler
// of Node.js.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { withoutRealPaths } from '../launcher/launch.js';
import {
  fixture,
  inProject,
  measureByTurns,
  pairwise,
  ratios,
  run,
  runBenchmark,
  say,
  spell,
  tool,
  withDirectory,
} from './measure.js';

const AIM_MS = 150;
const audit = ['run', '--', fixture('does-nothing')];
/** In Windows Node.js, as the launcher starts it. */
const auditInWindows = [...withoutRealPaths, inProject('bin/windows.cjs'), ...audit];

/**
 * The stages of an audit, each with a test for its functions. The innermost function on the stack decides.
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

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 21, smoke: 2 } },
  flags: ['stages'],
  programs: () => ['does-nothing'],
  async onHost(windows, { rounds }) {
    await withDirectory(async (directory) => {
      const empty = writeEmptyScript(directory);
      const startInWindows = async () => {
        const start = performance.now();
        const code = await windows.run(windows.node, [windows.toWindowsPath(empty)]);
        if (code !== 0) throw new Error(`An empty script ended with exit code ${code} in Windows.`);
        return performance.now() - start;
      };
      const startBoth = async () => run(process.execPath, [empty]).tookMs + (await startInWindows());
      await compare('from the shell', rounds, startBoth, () => run(process.execPath, [tool, ...audit]).tookMs);
    });
  },
  async inWindows({ rounds, flags }) {
    await withDirectory(async (directory) => {
      const empty = writeEmptyScript(directory);
      await compare(
        'in Windows',
        rounds,
        () => run(process.execPath, [empty]).tookMs,
        () => run(process.execPath, auditInWindows).tookMs,
      );
      if (flags.has('stages')) showStages(directory, rounds);
    });
  },
});

/** @param {string} directory */
function writeEmptyScript(directory) {
  const path = join(directory, 'empty.mjs');
  writeFileSync(path, '');
  return path;
}

/**
 * @param {string} where
 * @param {number} rounds
 * @param {() => number | Promise<number>} bare
 * @param {() => number} audited
 */
async function compare(where, rounds, bare, audited) {
  audited(); // The first run reads the files from the disk.
  const ms = await measureByTurns(rounds, { bare, audited });
  const difference = pairwise(ms.audited, ms.bare, (one, other) => one - other);
  say(
    `${where}: Node.js alone ${spell(ms.bare, 0)} ms, unclosed run ${spell(ms.audited, 0)} ms, ratio ${spell(ratios(ms.audited, ms.bare), 2)}`,
  );
  say(`  difference ${spell(difference, 0)} ms (aim: at most ${AIM_MS})`);
}

/**
 * Profiles whole processes.
 *
 * @param {string} directory
 * @param {number} rounds
 */
function showStages(directory, rounds) {
  for (let round = 0; round < rounds; round++) {
    run(process.execPath, [
      '--cpu-prof',
      '--cpu-prof-interval',
      '250',
      `--cpu-prof-dir=${directory}`,
      ...auditInWindows,
    ]);
  }
  const profiles = readdirSync(directory)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => splitByStage(JSON.parse(readFileSync(join(directory, name), 'utf8'))));
  for (const stage of [...stages.map(([name]) => name), ...Object.values(others)]) {
    say(
      `${spell(
        profiles.map((profile) => profile.get(stage) ?? 0),
        0,
      ).padStart(20)} ms  ${stage}`,
    );
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
    const stage =
      own ?? (inherited === others.node && /[\\/]bundle[\\/]/.test(callFrame.url) ? others.tool : inherited);
    for (const each of [id, ...children]) stageOf.set(each, stage);
  }
  const result = new Map();
  samples.forEach((id, index) => {
    const stage = stageOf.get(id);
    result.set(stage, (result.get(stage) ?? 0) + (timeDeltas[index] ?? 0) / 1000);
  });
  return result;
}
