// `npm run bench:handles`: compares `unclosed handles --csv` with a reference in C that makes the same calls and prints
// the same text, as whole processes. It also measures the memory that a table of a million handles takes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

import {
  fixture,
  measureByTurns,
  pairwise,
  ratios,
  run,
  runBenchmark,
  say,
  spell,
  spellCount,
  startNode,
  tool,
  withDirectory,
} from './measure.js';
import { peakMBOf, runWatched } from './process-usage.js';

await runBenchmark(import.meta.url, {
  sizes: {
    rounds: { full: 5, smoke: 1 },
    handles: { full: 100_000, smoke: 1000 },
    many: { full: 1_000_000, smoke: 2000 },
  },
  programs: () => ['holds-handles', 'lists-handles'],
  async inWindows({ rounds, handles, many }) {
    await withDirectory(async (directory) => {
      for (const isNamed of [false, true]) await compareWithC(directory, rounds, handles, isNamed);
      await measureMemory(directory, rounds, many);
    });
  },
});

/**
 * @param {string} directory
 * @param {number} rounds
 * @param {number} count
 * @param {boolean} isNamed
 */
async function compareWithC(directory, rounds, count, isNamed) {
  const target = await hold(count, isNamed);
  try {
    const [ours, theirs] = [join(directory, 'ours.csv'), join(directory, 'theirs.csv')];
    const pid = String(target.pid);
    const ms = await measureByTurns(rounds, {
      node: startNode,
      reference: () => run(fixture('lists-handles'), [pid, theirs, ...(isNamed ? ['names'] : [])]).tookMs,
      tool: () =>
        run(process.execPath, [tool, 'handles', pid, '--csv', ...(isNamed ? [] : ['--no-names'])], ours).tookMs,
    });
    say(
      `${spellCount(count)} handles ${isNamed ? 'with' : 'without'} names: Node.js alone ${spell(ms.node, 0)} ms, C ${spell(ms.reference, 0)} ms, tool ${spell(ms.tool, 0)} ms`,
    );
    const withStart = pairwise(ms.reference, ms.node, (one, other) => one + other);
    if (isNamed) say(`  tool / C = ${spell(ratios(ms.tool, ms.reference), 2)} (aim: at most 1.2)`);
    else say(`  tool / (C + Node.js alone) = ${spell(ratios(ms.tool, withStart), 2)} (aim: at most 1.5)`);
    const [events, expected] = [ours, theirs].map((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line.includes(',Event,')),
    );
    const areSame = JSON.stringify(events) === JSON.stringify(expected);
    say(`  the same ${spellCount(expected?.length ?? 0)} lines of events from both: ${areSame ? 'yes' : 'NO'}`);
  } finally {
    target.kill();
  }
}

/**
 * @param {string} directory
 * @param {number} rounds
 * @param {number} count
 */
async function measureMemory(directory, rounds, count) {
  const target = await hold(count, false);
  try {
    const output = join(directory, 'many.csv');
    for (const options of [['--count-only'], ['--csv', '--no-names']]) {
      const runs = await measureByTurns(rounds, {
        node: () => runWatched(process.execPath, ['-e', '0']),
        tool: () => runWatched(process.execPath, [tool, 'handles', String(target.pid), ...options], output),
      });
      const memory = { node: runs.node.map(peakMBOf), tool: runs.tool.map(peakMBOf) };
      const ms = { node: runs.node.map(({ tookMs }) => tookMs), tool: runs.tool.map(({ tookMs }) => tookMs) };
      say(
        `${spellCount(count)} handles ${options.join(' ')}: peak ${spell(memory.tool, 0)} MB (aim: below 300), ${spell(ratios(memory.tool, memory.node), 2)} times Node.js alone`,
      );
      say(
        `  ${spell(ms.tool, 0)} ms, ${spell(ratios(ms.tool, ms.node), 2)} times Node.js alone; ${spellCount(statSync(output).size)} bytes`,
      );
    }
  } finally {
    target.kill();
  }
}

/**
 * Starts a process with that many handles.
 *
 * @param {number} count
 * @param {boolean} isNamed
 */
async function hold(count, isNamed) {
  const target = spawn(fixture('holds-handles'), [String(count), ...(isNamed ? ['named'] : [])], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(target.stdout, 'data');
  return target;
}
