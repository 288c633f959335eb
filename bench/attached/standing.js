import { attach } from '../../dist/audit/index.js';
import { findProcess } from '../../dist/process/processes.js';
import { say, spell } from '../measure.js';
import { startWorking } from './working-target.js';

const AIM_MS = 50;

/**
 * Measures for how long processes stand still while they are attached to.
 *
 * @param {{ rounds: number, many: number }} sizes
 */
export async function measureStanding({ rounds, many }) {
  await measure('8 threads that rest', { threads: 8, restMs: 20 }, rounds, ` (aim: ${AIM_MS})`);
  await measure('8 threads that work without pause', { threads: 8, restMs: 0 }, rounds);
  await measure(`${many} threads that rest`, { threads: many, restMs: 2000 }, rounds);
}

/**
 * @param {string} what
 * @param {{ threads: number, restMs: number }} target
 * @param {number} rounds
 * @param {string} [aim]
 */
async function measure(what, { threads, restMs }, rounds, aim = '') {
  const target = await startWorking(threads, { restMs });
  /** @type {number[]} */
  const firstMs = [];
  /** @type {number[]} */
  const laterMs = [];
  for (let round = 0; round <= rounds; round += 1) {
    await attach({
      processes: [findProcess(String(target.pid))],
      forMs: 100,
      onAttached: (_process, standingMs) => (round === 0 ? firstMs : laterMs).push(standingMs),
    });
  }
  const { exitCode } = await target.stop();
  if (exitCode !== 0) throw new Error(`The target ended with exit code ${exitCode}.`);
  say(
    `${what}: stands still for ${spell(firstMs, 0)} ms at the first attach, ${spell(laterMs, 0)} ms at later ones${aim}`,
  );
}
