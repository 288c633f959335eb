import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { attach } from '../../dist/audit/index.js';
import { findProcess } from '../../dist/process/processes.js';
import { startWorking } from '../attached/working-target.js';
import { say, tool } from '../measure.js';
import { check } from './check.js';
import { isRight } from './planted.js';
import { works } from './threads-and-memory.js';

/**
 * Kills auditors at random moments of an attach. The target must go on, and a new attach must work.
 *
 * @param {{ kills: number }} sizes
 */
export async function killAttached({ kills }) {
  const target = await startWorking(8, { leakEveryMs: 5 });
  let alive = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const auditor = spawn(process.execPath, [tool, 'attach', String(target.pid), '--for', '400ms'], {
      stdio: 'ignore',
    });
    const ended = once(auditor, 'exit');
    await sleep(Math.random() * 1500);
    auditor.kill('SIGKILL');
    await ended;
    if (await works(target.pid)) alive += 1;
  }
  const right = isRight(await attach({ processes: [findProcess(String(target.pid))], forMs: 500, everyMs: 50 }));
  const { exitCode } = await target.stop();
  say(
    `${kills} auditors killed while attached: the target went on ${alive} times, and ended with ${exitCode}; a later attach was ${right ? 'right' : 'wrong'}`,
  );
  check(exitCode === 0 && alive === kills && right, 'a target outlives its auditors');
}
