import { attach } from '../../dist/audit/index.js';
import { HandleTable } from '../../dist/handles/enumerate.js';
import { findProcess } from '../../dist/process/processes.js';
import { startWorking } from '../attached/working-target.js';
import { say, spell } from '../measure.js';
import { check } from './check.js';
import { isPlanted, serious } from './planted.js';
import { committedMB } from './threads-and-memory.js';

/**
 * Attaches to one process and leaves it, many times, while its threads work without pause.
 *
 * @param {{ cycles: number }} sizes
 */
export async function attachAgainAndAgain({ cycles }) {
  const target = await startWorking(8, { leakEveryMs: 5 });
  let right = 0;
  let firstMB = 0;
  let lastMB = 0;
  /** @type {number[]} */
  const standing = [];
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const report = await attach({
      processes: [findProcess(String(target.pid))],
      forMs: 300,
      everyMs: 30,
      onAttached: (_process, ms) => standing.push(ms),
    });
    const wrong = serious(report);
    if (wrong.length === 0 && report.findings.some(isPlanted)) right += 1;
    else say(`  cycle ${cycle}: ${wrong.join('; ') || 'the leak is missing'}`);
    lastMB = committedMB(target.pid);
    if (cycle === 0) firstMB = lastMB;
  }
  const open = HandleTable.readSystem().ofProcess(target.pid).count;
  const { exitCode, rounds } = await target.stop();
  say(`${cycles} cycles: ${right} reports right; the target made ${rounds} rounds and ended with ${exitCode}`);
  say(
    `  stood still for ${spell(standing, 0)} ms; ${firstMB.toFixed(1)} MB committed after the first cycle, ${lastMB.toFixed(1)} MB after the last; ${open} handles`,
  );
  check(exitCode === 0 && right === cycles, 'every report is right, and the target ends as it would have');
}
