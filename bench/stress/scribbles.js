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

/** A report or an error comes within this time on an idle machine; a case that takes longer is counted as late. */
const AIM_MS = 10_000;
/** Whatever has not come by then never comes. */
const HANG_MS = 120_000;
/** So many cases are under way at once: most of them wait. */
const LANES = 3;
const MEMORY_MB = 1000;
/** So many cases one target stands, unless it ends before. */
const CASES_OF_TARGET = 16;
/** Every so many cases the target is run instead of attached to. */
const RUN_EVERY = 8;
/** A target that damages itself may wait for ever: it is ended then. */
const RUN_MS = 3000;

/**
 * Attaches to a target, or runs one, that damages ledger, agent and gate meanwhile. A report must come, or an error of
 * one line, and the tool must not need more than a gigabyte; the aim is ten seconds. A case is the same for the same
 * number.
 *
 * @param {{ cases: number, seed: number }} sizes
 */
export async function scribble({ cases, seed }) {
  const results = { reports: 0, errors: 0, wrong: 0, targets: 0 };
  /** @type {number[]} */
  const tookMs = [];
  let next = 0;
  const work = async () => {
    const lane = new Lane(results);
    while (next < cases) {
      const number = seed + next;
      next += 1;
      const started = performance.now();
      await lane.tryOut(number);
      tookMs.push(performance.now() - started);
    }
    lane.end();
  };
  await Promise.all(Array.from({ length: LANES }, work));
  const peakMB = ownPeakMB();
  const late = tookMs.filter((ms) => ms > AIM_MS).length;
  const { targets, reports, errors, wrong } = results;
  say(
    `${cases} cases of damage in ${targets} targets: ${reports} reports, ${errors} errors, ${wrong} wrong; one takes ${spell(tookMs, 0)} ms, ${late} more than ten seconds; peak ${peakMB.toFixed(0)} MB (aim: below ${MEMORY_MB})`,
  );
  check(wrong === 0 && peakMB < MEMORY_MB, 'every damage leaves a report or a clear error');
}

/** Cases one after the other, and the target that they share. */
class Lane {
  #results;
  /** @type {ReadyTarget | undefined} */
  #target;
  /** Cases that the target has stood. */
  #age = 0;

  /** @param {{ reports: number, errors: number, wrong: number, targets: number }} results */
  constructor(results) {
    this.#results = results;
  }

  /** @param {number} number */
  async tryOut(number) {
    const damage = makeDamage(number);
    const outcome = await (number % RUN_EVERY === 0 ? inTime(runOnce(damage)) : this.#attach(damage));
    if (outcome === 'report') this.#results.reports += 1;
    else if (outcome === 'error') this.#results.errors += 1;
    else {
      this.#results.wrong += 1;
      say(`  case ${number}: ${outcome}: ${damage}`);
      this.end();
    }
  }

  end() {
    this.#target?.child.kill();
    this.#target = undefined;
  }

  /** @param {string} damage */
  async #attach(damage) {
    if (this.#age >= CASES_OF_TARGET) this.end();
    if (this.#target === undefined) {
      this.#age = 0;
      this.#results.targets += 1;
      // By turns, threads of the target call the damaged agent, or only the damaged ledger is read.
      this.#target = await startReady('scribbles-on-recorder', [this.#results.targets % 2 === 0 ? 2 : 0]);
    }
    this.#age += 1;
    const target = this.#target;
    const outcome = await inTime(attachOnce(target, damage));
    if (!(await hasAnswered(target, this.#age))) this.end();
    return outcome;
  }
}

/** @param {Promise<string>} outcome */
async function inTime(outcome) {
  return await Promise.race([outcome, sleep(HANG_MS, `nothing after ${HANG_MS} ms`, { ref: false })]);
}

/**
 * @param {ReadyTarget} target
 * @param {string} damage
 * @returns {Promise<string>} `report`, `error`, or what is wrong
 */
async function attachOnce({ pid, child }, damage) {
  try {
    await attach({
      processes: [findProcess(String(pid))],
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
