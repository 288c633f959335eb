import type { Frame, HandleObject, Misuse, Stack } from '../model.ts';
import { dissect, isBeforeMain } from './stacks.ts';
import { closesHandle, givesHandle, takesHandle } from './windows-calls.ts';

/**
 * Whose doing a call was.
 *
 * - `program`: the program's code made it, or called a function of the system whose purpose it is;
 * - `startup`: the program had not reached `main`;
 * - `system`: Windows made it for itself, during a call of the program or on a thread of its own;
 * - `unknown`: no stack could be walked.
 */
export type Actor = 'program' | 'startup' | 'system' | 'unknown';

/**
 * Whose a newly opened handle is, judged by the function that the program called and not by the modules on the stack:
 * `CreateEventW` opens its event for the program, and the directory of named objects for itself; `WSAStartup` opens
 * whatever it opens for itself.
 */
export function attributeOpening(stack: Stack, object: HandleObject): Actor {
  if (stack.length === 0) return 'unknown';
  const { site, api } = dissect(stack);
  if (site === undefined) return 'system';
  if (isBeforeMain(stack)) return 'startup';
  return api === undefined || givesHandle(api, object) ? 'program' : 'system';
}

/**
 * Whose mistake a refused call is: the program's when the function that it called closes (or works on) the handle that
 * it is given. Where the tables do not know the function, a handle that was the program's own decides.
 */
export function attributeMisuse(misuse: Misuse): Actor {
  const { stack } = misuse.offending;
  if (stack.length === 0) return 'unknown';
  const { site, api } = dissect(stack);
  if (site === undefined) return 'system';
  if (site.runtime === true) return 'startup';
  if (api === undefined) return 'program';
  const given = misuse.kind !== 'use' ? closesHandle(api) : takesHandle(api);
  if (given === 'unknown') return wasTheProgramsOwn(misuse) ? 'program' : 'system';
  return given ? 'program' : 'system';
}

function wasTheProgramsOwn(misuse: Misuse): boolean {
  return (
    misuse.opened !== undefined &&
    attributeOpening(misuse.opened.stack, misuse.object ?? { type: 'Unknown' }) === 'program'
  );
}

/** The function of the system at the end of a stack that holds nothing else, for naming who it was. */
export function outermostSystemFrame(stack: Stack): Frame | undefined {
  const { inner } = dissect(stack);
  // The thread's own beginning names nobody.
  const named = inner.filter(
    (frame) => !/^(?:RtlUserThreadStart|BaseThreadInitThunk|LdrInitializeThunk)$/.test(frame.function ?? ''),
  );
  return named.at(-1) ?? inner.at(-1);
}
