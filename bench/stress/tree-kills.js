import { attach } from '../../dist/audit/index.js';
import { listProcesses } from '../../dist/process/processes.js';
import { setEvent } from '../attached/working-target.js';
import { fixture } from '../measure.js';
import { check } from './check.js';
import { hasSaid, killAgainAndAgain, measureAudit, NEVER_BEGAN } from './killed-auditor.js';
import { isRight } from './planted.js';

/** @import { Orphan } from './killed-auditor.js' */

const CHILDREN = 4;
/** The exit code of starts-children is the sum of those of the processes at the end, which are 3. */
const SUM = CHILDREN * CHILDREN * 3;

/**
 * Kills auditors at random moments of `run --follow-children`. By turns the tree starts children all the time, and each
 * child must end rightly; and its one child goes on, and is attached to.
 *
 * @param {{ kills: number }} sizes
 */
export async function killTrees({ kills }) {
  const run = (/** @type {readonly (string | number)[]} */ ...command) => [
    'run',
    '--follow-children',
    '--',
    ...command.map(String),
  ];
  const startsMany = run(fixture('starts-children'), CHILDREN, 2, 1, 'aloud');
  const startsOne = run(fixture('launches'), fixture('works-without-pause'), 2, 5, 120);
  const isRightAlways = await killAgainAndAgain({
    kills,
    lifeMs: await measureAudit(startsMany),
    args: (goesOn) => (goesOn ? startsOne : startsMany),
    follow,
    ran: 'a tree',
    attaches: 'attaches to a child were',
  });
  check(isRightAlways, 'a tree outlives its auditor');
}

/** @param {Orphan} orphan @param {boolean} goesOn */
async function follow({ pid, output, end }, goesOn) {
  if (pid === undefined) return { result: 'was not started', isAttached: false };
  let isAttached = false;
  if (goesOn && (await hasSaid(output, 'ready', 15_000))) {
    const child = listProcesses().find(({ parentId }) => parentId === pid);
    if (child === undefined) return { result: 'the child is gone', isAttached };
    if (!isRight(await attach({ processes: [child], forMs: 300, everyMs: 30 })))
      return { result: 'a later attach is wrong', isAttached };
    isAttached = true;
    setEvent(`unclosed-stop-${child.processId}`);
  }
  const exitCode = await end(30_000);
  if (output() === '' && exitCode === NEVER_BEGAN) return { result: 'never began', isAttached };
  const isEnd = goesOn
    ? exitCode === 0 && /^rounds \d+/m.test(output())
    : exitCode === SUM && output().match(/^leaf\r?$/gm)?.length === CHILDREN * CHILDREN;
  return { result: isEnd ? 'ended right' : `exit code ${exitCode}, ${JSON.stringify(output())}`, isAttached };
}
