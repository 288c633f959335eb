import { attach } from '../../dist/audit/index.js';
import { findProcess } from '../../dist/process/processes.js';
import { setEvent } from '../attached/working-target.js';
import { fixture } from '../measure.js';
import { check } from './check.js';
import { hasSaid, killAgainAndAgain, measureAudit, NEVER_BEGAN } from './killed-auditor.js';
import { isRight } from './planted.js';
import { countSuspended } from './threads-and-memory.js';

/** @import { Orphan } from './killed-auditor.js' */

/**
 * Kills auditors at random moments of `run`. By turns the program goes on, is attached to and ends when it is asked to;
 * and ends by itself, so that the auditor may be killed while it judges.
 *
 * @param {{ kills: number }} sizes
 */
export async function killRuns({ kills }) {
  const command = (/** @type {number} */ seconds) => [
    'run',
    '--',
    fixture('works-without-pause'),
    '4',
    '5',
    `${seconds}`,
  ];
  const lifeMs = await measureAudit(command(1));
  const args = (/** @type {boolean} */ goesOn) => command(goesOn ? 120 : 1);
  const isRightAlways = await killAgainAndAgain({
    kills,
    lifeMs,
    args,
    follow,
    ran: 'a program',
    attaches: 'attaches were',
  });
  check(isRightAlways, 'a program outlives its auditor');
}

/** @param {Orphan} orphan @param {boolean} goesOn */
async function follow({ pid, output, end }, goesOn) {
  if (pid === undefined) return { result: 'was not started', isAttached: false };
  let isAttached = false;
  if (goesOn && (await hasSaid(output, 'ready', 10_000))) {
    const suspended = countSuspended(pid);
    if (suspended > 0) return { result: `${suspended} threads are suspended`, isAttached };
    const report = await attach({ processes: [findProcess(String(pid))], forMs: 300, everyMs: 30 });
    if (!isRight(report))
      return {
        result: `a later attach is wrong: ${JSON.stringify(report.findings.map(({ message }) => message))}`,
        isAttached,
      };
    isAttached = true;
    setEvent(`unclosed-stop-${pid}`);
  }
  const exitCode = await end(30_000);
  if (exitCode === 0 && /^rounds \d+/m.test(output())) return { result: 'ended right', isAttached };
  if (output() === '' && exitCode === NEVER_BEGAN) return { result: 'never began', isAttached };
  return { result: `exit code ${exitCode}, ${JSON.stringify(output())}`, isAttached };
}
