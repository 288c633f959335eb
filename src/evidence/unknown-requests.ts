import type { OpenSite } from '../evidence-model.ts';
import type { Frame, Stack } from '../model.ts';

/** The functions of a thread of libuv's pool, from the one that runs the work outwards. */
export const POOL_FRAME_COUNT = 3;

/**
 * How many open handles a thread of libuv's pool opened without the stack of a function that asked for it. The pool's
 * threads are known by the other stacks of theirs, which have one.
 */
export function countUnknownRequests(sites: readonly OpenSite[]): number {
  const stacks = sites.map(({ opened }) => opened?.stack ?? []);
  const pool = new Set(stacks.flatMap((stack) => (isRequested(stack) ? [spellOutermost(stack)] : [])));
  if (pool.size === 0) return 0;
  return sites.reduce((sum, { count }, index) => {
    const stack = stacks[index]!;
    return !isAnswered(stack) && pool.has(spellOutermost(stack)) ? sum + count : sum;
  }, 0);
}

function isRequested(stack: Stack): boolean {
  return stack.some((frame) => frame.requested === true);
}

/** A function of the program asked, and not Node.js itself. */
function isAnswered(stack: Stack): boolean {
  return stack.some(({ requested, system, runtime }) => requested === true && system !== true && runtime !== true);
}

function spellOutermost(stack: Stack): string {
  const isOwn = (frame: Frame): boolean => frame.system !== true && frame.requested !== true && frame.module !== '?';
  const own = stack.filter(isOwn).slice(-POOL_FRAME_COUNT);
  return own.map(({ module, function: name = '', offset }) => `${module}!${name}+${offset}`).join('|');
}
