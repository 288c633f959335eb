// `npm run bench:scale`: measures the cost of an audit with many leaked handles, and with many calls.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

import {
  fixture,
  measureByTurns,
  ratios,
  runBenchmark,
  say,
  spell,
  spellCount,
  startNode,
  tool,
  withDirectory,
} from './measure.js';
import { peakMBOf, processorMsOf, runWatched } from './process-usage.js';

/** @import { Sample } from './process-usage.js' */

const program = fixture('leaks-many');

await runBenchmark(import.meta.url, {
  sizes: {
    rounds: { full: 3, smoke: 1 },
    leaks: { full: 100_000, smoke: 1000 },
    many: { full: 1_000_000, smoke: 2000 },
    calls: { full: 1_000_000, smoke: 20_000 },
  },
  programs: () => ['leaks-many'],
  async inWindows({ rounds, leaks, many, calls }) {
    await withDirectory(async (directory) => {
      await measureLeaks(directory, rounds, leaks, 5);
      await measureLeaks(directory, rounds, many, 30);
      await measureCalls(directory, rounds, 1000);
      sayShare(await measureCalls(directory, rounds, calls));
    });
  },
});

/**
 * @param {string} directory
 * @param {number} rounds
 * @param {number} leaks
 * @param {number} aimS
 */
async function measureLeaks(directory, rounds, leaks, aimS) {
  const { node, alone, audits } = await measureByTurns(rounds, {
    node: startNode,
    alone: () => runAlone(leaks, 0),
    audits: () => audit(directory, leaks, 0),
  });
  const afterS = audits.map(({ afterMs }) => afterMs / 1000);
  const inStarts = ratios(
    audits.map(({ afterMs }) => afterMs),
    node,
  );
  say(
    `${spellCount(leaks)} leaked handles: judged and reported in ${spell(afterS, 2)} s (aim: ${aimS}), ${spell(inStarts, 2)} times Node.js alone`,
  );
  sayPrice(alone, audits);
  say(
    `  ${spellCount(Math.min(...audits.map(({ leaked }) => leaked)))} reported, peak ${spell(
      audits.map(({ peakMB }) => peakMB),
      0,
    )} MB`,
  );
}

/**
 * @param {string} directory
 * @param {number} rounds
 * @param {number} calls
 */
async function measureCalls(directory, rounds, calls) {
  const { alone, audits } = await measureByTurns(rounds, {
    alone: () => runAlone(0, calls),
    audits: () => audit(directory, 0, calls),
  });
  const processorS = audits.map(({ processorMs }) => processorMs / 1000);
  say(
    `${spellCount(calls)} opens and closes: peak ${spell(
      audits.map(({ peakMB }) => peakMB),
      0,
    )} MB, the auditor's processor time ${spell(processorS, 2)} s`,
  );
  sayPrice(alone, audits);
  return audits;
}

/** @param {readonly { share: number | undefined }[]} audits */
function sayShare(audits) {
  const shares = audits.map(({ share }) => share).filter((share) => share !== undefined);
  say(
    `  in its second half ${shares.length > 0 ? `the auditor takes ${spell(shares, 2)} % of a core (aim: under 1)` : 'there was no time to look twice'}`,
  );
}

/**
 * @param {readonly number[]} aloneMs
 * @param {readonly { targetMs: number }[]} audits
 */
function sayPrice(aloneMs, audits) {
  const auditedMs = audits.map(({ targetMs }) => targetMs);
  say(
    `  the program ${spell(aloneMs, 0)} ms alone, ${spell(auditedMs, 0)} ms audited, ratio ${spell(ratios(auditedMs, aloneMs), 2)}`,
  );
}

/**
 * Samples are taken as during an audit, because they cost Wine's server some time, too.
 *
 * @param {number} leaks
 * @param {number} calls
 */
async function runAlone(leaks, calls) {
  return (await runWatched(program, [String(leaks), String(calls)])).tookMs;
}

/**
 * Runs one audit, as a whole process.
 *
 * @param {string} directory
 * @param {number} leaks
 * @param {number} calls
 */
async function audit(directory, leaks, calls) {
  const report = join(directory, 'report.json');
  const args = [
    'run',
    '--fail-on',
    'never',
    '--reporter',
    `json=${report}`,
    '--max-handles',
    String(1 << 21),
    '--',
    program,
    String(leaks),
    String(calls),
  ];
  const watched = await runWatched(process.execPath, [tool, ...args]);
  /** @type {{ findings: { rule: string, level: string, count: number }[], stats: { durationMs: number } }} */
  const {
    findings,
    stats: { durationMs: targetMs },
  } = JSON.parse(readFileSync(report, 'utf8'));
  const leaked = findings
    .filter(({ rule, level }) => rule === 'leak' && level !== 'note')
    .reduce((sum, { count }) => sum + count, 0);
  return {
    leaked,
    targetMs,
    afterMs: watched.tookMs - targetMs,
    peakMB: peakMBOf(watched),
    processorMs: processorMsOf(watched),
    share: shareOf(watched.samples, targetMs),
  };
}

/**
 * The auditor's share of a core while the target works, in percent. Only the second half counts, because the first
 * includes a part of the start. `undefined` where it was too short.
 *
 * @param {readonly Sample[]} samples
 * @param {number} targetMs
 */
function shareOf(samples, targetMs) {
  const beganMs = samples.find(({ hasChild }) => hasChild)?.timeMs ?? Number.NaN;
  const during = samples.filter(({ timeMs }) => timeMs >= beganMs + targetMs / 2 && timeMs <= beganMs + targetMs);
  const [first, last] = [during[0], during.at(-1)];
  if (first === undefined || last === undefined || first === last) return undefined;
  return (100 * (last.processorMs - first.processorMs)) / (last.timeMs - first.timeMs);
}
