import type { Frame, HandleObject, Misuse, Stack } from '../model.ts';
import { findRuntimeMaker, isAwaitedConnection, isGo, isGoLibrarysOwn, isWholeGoStack } from './runtimes/go.ts';
import { dissect, isBeforeMain } from './stacks.ts';
import { closesHandle, givesHandle, takesHandle } from './windows-calls.ts';

/**
 * The maker of a call.
 *
 * - `program`: the program's code made it, or called a function of the system for that purpose;
 * - `startup`: the program had not reached `main`;
 * - `runtime`: the runtime or the standard library of a language made it for itself;
 * - `system`: Windows made it for itself, during a call of the program or on a thread of its own;
 * - `unknown`: no stack could be walked, or not far enough to tell.
 */
export type Actor = 'program' | 'startup' | 'runtime' | 'system' | 'unknown';

/**
 * Finds the owner of a new handle. The function that the program called decides, not the modules on the stack:
 * `CreateEventW` opens its event for the program, and the directory of named objects for itself; `WSAStartup` opens
 * everything for itself.
 */
export function attributeOpening(stack: Stack, object: HandleObject): Actor {
  if (stack.length === 0) return 'unknown';
  const { site, api } = dissect(stack);
  if (site === undefined) return 'system';
  if (isBeforeMain(stack)) return 'startup';
  if (api !== undefined && !givesHandle(api, object)) return 'system';
  if (isAwaitedConnection(stack, object)) return 'runtime';
  return site.runtime === true && isGo(site) ? actorInGo(stack) : 'program';
}

/** The maker of a call by Go's runtime or its standard library. Where callers are missing, one may be the program's. */
function actorInGo(stack: Stack): Actor {
  return findRuntimeMaker(programFrames(dissect(stack).stack)) !== undefined || isWholeGoStack(stack)
    ? 'runtime'
    : 'unknown';
}

/**
 * Finds the maker of a refused call. It was the program if the function that it called closes or uses the handle that
 * it is given. Where the tables do not know the function, it was the program if the handle was the program's own.
 */
export function attributeMisuse(misuse: Misuse): Actor {
  const { stack } = misuse.offending;
  if (stack.length === 0) return 'unknown';
  const { site, api } = dissect(stack);
  if (site === undefined) return 'system';
  if (site.runtime === true) return isGo(site) ? actorInGo(stack) : 'startup';
  if (misuse.opened !== undefined && isGoLibrarysOwn(programFrames(misuse.opened.stack), programFrames(stack)))
    return 'runtime';
  if (api === undefined) return 'program';
  const given = misuse.kind !== 'use' ? closesHandle(api) : takesHandle(api);
  if (given === 'unknown') return wasTheProgramsOwn(misuse) ? 'program' : 'system';
  return given ? 'program' : 'system';
}

function programFrames(stack: Stack): Stack {
  return stack.filter((frame) => frame.system !== true);
}

function wasTheProgramsOwn(misuse: Misuse): boolean {
  return (
    misuse.opened !== undefined &&
    attributeOpening(misuse.opened.stack, misuse.object ?? { type: 'Unknown' }) === 'program'
  );
}

/** The frame that best names a stack of nothing but system frames: the outermost one that is no start of a thread. */
export function outermostSystemFrame(stack: Stack): Frame | undefined {
  const { inner } = dissect(stack);
  // Every thread begins in these functions.
  const named = inner.filter(
    (frame) => !/^(?:RtlUserThreadStart|BaseThreadInitThunk|LdrInitializeThunk)$/.test(frame.function ?? ''),
  );
  return named.at(-1) ?? inner.at(-1);
}
