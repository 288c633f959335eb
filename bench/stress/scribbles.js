import { setTimeout as sleep } from 'node:timers/promises';

import { attach, audit } from '../../dist/audit/index.js';
import { findProcess } from '../../dist/process/processes.js';
import { UserError } from '../../dist/user-error.js';
import { startReady } from '../attached/working-target.js';
import { fixture, say, spell } from '../measure.js';
import { check } from './check.js';
import { makeDamage } from './damage.js';
import { ownPeakMB } from './threads-and-memory.js';

/** @import { ReadyTarget } from '../attached/working-target.js' */

const TIMEOUT_MS = 10_000;
const MEMORY_MB = 1000;
/** So many cases one target stands, unless it ends before. */
const CASES_OF_TARGET = 16;
/** Every so many cases the target is run instead of attached to. */
const RUN_EVERY = 8;
/** A target that damages itself may wait for ever: it is ended then. */
const RUN_MS = 3000;

/**
 * Attaches to a target, or runs one, that damages ledger, agent and gate meanwhile. A report must come, or an error of one line,
 * within ten seconds, and the tool must not need more than a gigabyte. A case is the same for the same number.
 *
 * @param {{ cases: number, seed: number }} sizes
 */
export async function scribble({ cases, seed }) {
  /** @type {ReadyTarget | undefined} */
  let target;
  let age = 0;
  let targets = 0;
  const results = { reports: 0, errors: 0 };
  /** @type {number[]} */
  const tookMs = [];
  let wrong = 0;
  for (let index = 0; index < cases; index += 1) {
    const number = seed + index;
    const damage = makeDamage(number);
    if (target === undefined || age >= CASES_OF_TARGET) {
      target?.child.kill();
      // By turns, threads of the target call the damaged agent, or only the damaged ledger is read.
      target = await startReady('scribbles-on-recorder', [targets % 2 === 0 ? 0 : 2]);
      targets += 1;
      age = 0;
    }
    const isRun = index % RUN_EVERY === 0;
    const started = performance.now();
    const outcome = await Promise.race([
      isRun ? runOnce(damage) : attachOnce(target, damage),
      sleep(TIMEOUT_MS, `nothing after ${TIMEOUT_MS} ms`, { ref: false }),
    ]);
    tookMs.push(performance.now() - started);
    if (outcome === 'report') results.reports += 1;
    else if (outcome === 'error') results.errors += 1;
    else {
      wrong += 1;
      say(`  case ${number}: ${outcome}: ${damage}`);
    }
    if (isRun) continue;
    age += 1;
    if (await hasAnswered(target, age)) continue;
    target.child.kill();
    target = undefined;
  }
  target?.child.kill();
  const peakMB = ownPeakMB();
  say(
    `${cases} cases of damage in ${targets} targets: ${results.reports} reports, ${results.errors} errors, ${wrong} wrong; one takes ${spell(tookMs, 0)} ms; peak ${peakMB.toFixed(0)} MB (aim: below ${MEMORY_MB})`,
  );
  check(wrong === 0 && peakMB < MEMORY_MB, 'every damage leaves a report or a clear error');
}

/**
 * @param {ReadyTarget} target
 * @param {string} damage
 * @returns {Promise<string>} `report`, `error`, or what is wrong
 */
async function attachOnce({ pid, child }, damage) {
  try {
    await attach({
      process: findProcess(String(pid)),
      forMs: 150,
      everyMs: 15,
      onAttached: () => void child.stdin?.write(`${damage}\n`),
    });
    return 'report';
  } catch (error) {
    return explain(error);
  }
}

/**
 * @param {string} damage
 * @returns {Promise<string>} likewise
 */
async function runOnce(damage) {
  try {
    const signal = AbortSignal.timeout(RUN_MS);
    await audit({ program: fixture('scribbles-on-recorder'), args: ['2', damage], targetStdout: 'stderr', signal });
    return 'report';
  } catch (error) {
    return explain(error);
  }
}

/**
 * Whether a target has done so many cases, and goes on.
 *
 * @param {ReadyTarget} target
 * @param {number} count
 */
async function hasAnswered({ child, output }, count) {
  for (const end = Date.now() + 2000; Date.now() < end && child.exitCode === null; await sleep(5)) {
    if (output().match(/^done/gm)?.length === count) return true;
  }
  return false;
}

/** @param {unknown} error */
function explain(error) {
  if (error instanceof UserError && !error.message.includes('\n')) return 'error';
  return `not a clear error: ${error instanceof Error ? error.stack : error}`;
}
