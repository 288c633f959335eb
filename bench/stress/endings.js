import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { attach, audit } from '../../dist/audit/index.js';
import { findProcess } from '../../dist/process/processes.js';
import { setEvent } from '../attached/working-target.js';
import { fixture, say, spell, withDirectory } from '../measure.js';
import { check } from './check.js';
import { isPlanted, serious } from './planted.js';

/** @import { Report } from '../../dist/model.js' */

const LEAKS = 7;
const program = 'ends-in-many-ways';

/** The ways of ends-in-many-ways, by what happens to the process. `waits`: another process kills it. */
const ways = {
  kills: ['waits'],
  crashes: ['access-violation', 'stack-overflow', 'exception', 'heap-corruption', 'fail-fast', 'abort'],
  exits: [
    ...['return', 'exit-process', 'exit', 'quick-exit', 'exit-at-once', 'exit-threads'],
    ...['terminate', 'terminate-by-handle', 'nt-terminate'],
  ],
};

/** Ways that no code of the process may take part in. */
const failsFast = new Set(['fail-fast', 'heap-corruption']);
/**
 * Ways in which the process may end with a thread, and by no call: Wine ends a thread without stack alone, and threads
 * that end at the same time each see the others still there.
 */
const endsWithThread = new Set(['stack-overflow', 'exit-threads']);

const CUT_SHORT = {
  killed: /^warning leak .* but another process or the kernel ended this one\.$/,
  crashed: /^warning leak .* but the process crashed\.$/,
};

/** @typedef {{ way: string, thread: 'main' | 'other' }} Ending */

/**
 * Ends targets in all ways, by the first thread and by another one, at random moments, under `run` and while they are
 * attached to. Each time a report must come, with the exit code that the program has alone, and the truth about seven
 * leaked events and three threads that close what they open.
 *
 * @param {{ ends: number }} sizes
 */
export async function endTargets({ ends }) {
  await withDirectory(async (directory) => {
    let wrong = 0;
    for (const [kind, names] of Object.entries(ways)) {
      const endings = names.flatMap((way) => [
        { way, thread: /** @type {const} */ ('main') },
        ...(way === 'return' ? [] : [{ way, thread: /** @type {const} */ ('other') }]),
      ]);
      const alone = new Map(endings.map((ending) => [ending, runAlone(directory, ending)]));
      for (const mode of /** @type {const} */ (['run', 'attach'])) {
        /** @type {number[]} */
        const tookMs = [];
        let right = 0;
        for (let end = 0; end < ends; end += 1) {
          const ending = /** @type {Ending} */ (endings[end % endings.length]);
          const started = performance.now();
          const complaints = await endOne(directory, mode, ending, alone.get(ending));
          tookMs.push(performance.now() - started);
          if (complaints.length === 0) right += 1;
          else say(`  ${mode}, ${ending.way} by ${ending.thread}: ${complaints.join('; ')}`);
        }
        wrong += ends - right;
        say(`${ends} ${kind} under ${mode}: ${right} reports right; one takes ${spell(tookMs, 0)} ms`);
      }
    }
    check(wrong === 0, 'every end leaves a report that is right');
  });
}

/** @param {string} directory @param {Ending} ending */
function runAlone(directory, { way, thread }) {
  if (way === 'waits') return 1; // that TerminateProcess gives it
  const path = join(directory, 'alone');
  const { status } = spawnSync(fixture(program), [path, way, thread, '5'], { stdio: 'ignore', timeout: 20_000 });
  rmSync(path);
  return status;
}

/**
 * @param {string} directory
 * @param {'run' | 'attach'} mode
 * @param {Ending} ending
 * @param {number | null | undefined} exitCode that it has alone
 * @returns {Promise<readonly string[]>} all that is not as it should be
 */
async function endOne(directory, mode, { way, thread }, exitCode) {
  const path = join(directory, 'words');
  const says = () => (existsSync(path) ? readFileSync(path, 'utf8') : '');
  const moment = Math.random() * 400;
  const args = [path, way, thread, String(Math.round(moment))];
  const isKilled = way === 'waits';
  const report = await (mode === 'run' ? runOne() : attachOne()).catch((/** @type {Error} */ error) => error);
  const words = says();
  rmSync(path, { force: true, maxRetries: 5, retryDelay: 200 });
  if (report instanceof Error)
    return isKilled && /it has ended, with exit code 1\./.test(report.message) ? [] : [String(report.stack)];
  return complain(report, words);

  async function runOne() {
    const ended = new AbortController();
    const audited = audit({ program: fixture(program), args }).finally(() => ended.abort());
    if (isKilled) await killAt(moment, ended.signal);
    return await audited;
  }

  async function attachOne() {
    const child = spawn(fixture(program), [...args, 'waits'], { stdio: 'ignore' });
    const ended = once(child, 'exit');
    while (!says().includes('ready')) await sleep(2);
    const pid = child.pid ?? 0;
    const attached = attach({
      processes: [findProcess(String(pid))],
      onAttached: () => setEvent(`unclosed-go-${pid}`),
    });
    if (isKilled) {
      await sleep(moment * 3);
      child.kill();
    }
    const report = await attached;
    await ended;
    return report;
  }

  /** @param {number} ms @param {AbortSignal} ended */
  async function killAt(ms, ended) {
    while (!says().includes('ready') && !ended.aborted) await sleep(2);
    await sleep(ms);
    const pid = Number(/^ready (\d+)/.exec(says())?.[1]);
    if (!ended.aborted) process.kill(pid);
  }

  /** @param {Report} report @param {string} words */
  function complain({ target, findings, completeness }, words) {
    const complaints = [];
    if (target.exitCode !== (exitCode ?? 0) >>> 0)
      complaints.push(`exit code ${target.exitCode} instead of ${exitCode}`);
    if (!isKilled && !words.includes('ends')) complaints.push(`it said ${JSON.stringify(words)}`);
    const count = findings.filter(isPlanted).reduce((sum, finding) => sum + finding.count, 0);
    const hasLeaked = words.includes('leaked');
    if (hasLeaked ? count !== LEAKS : count > LEAKS) complaints.push(`${count} leaks`);
    // A process that ends in the midst of its work has open whatever it was about to close, and the finding says so.
    complaints.push(
      ...serious(/** @type {Report} */ ({ findings })).filter(
        (each) => !(isKilled ? CUT_SHORT.killed : failsFast.has(way) ? CUT_SHORT.crashed : /^$/).test(each),
      ),
    );
    const lost = completeness.gaps.find(({ kind }) => kind === 'handle-table-lost');
    const why = lost?.kind === 'handle-table-lost' ? lost.why : undefined;
    const mayBeLost = endsWithThread.has(way) ? 'ended-from-outside' : failsFast.has(way) ? 'failed-fast' : undefined;
    if (isKilled ? why !== 'ended-from-outside' : why !== undefined && why !== mayBeLost)
      complaints.push(`the handle table was lost: ${why}`);
    return complaints;
  }
}
