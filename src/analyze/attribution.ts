import type { Frame, HandleObject, Stack } from '../model.ts';
import type { Misuse } from '../evidence-model.ts';
import { preparesConnection, runtimeGives, servesItself } from './runtimes/calls.ts';
import { callsOnce } from './runtimes/code.ts';
import { findRuntimeMaker, isAwaitedConnection, isGo, isGoLibrarysOwn, isWholeGoStack } from './runtimes/go.ts';
import { startOfNode } from './runtimes/node.ts';
import { dissect, functionName, isBeforeMain, isCut, programFrames } from './stacks.ts';
import { closesHandle, givesHandle, takesHandle } from './windows-calls.ts';

/**
 * The maker of a call.
 *
 * - `program`: the program's code made it, or called a function of the system for that purpose;
 * - `startup`: the program had not reached `main`;
 * - `runtime`: a runtime or standard library that the compiler or language brought into the program made it for itself;
 * - `system`: Windows made it for itself, during a call of the program or on a thread of its own;
 * - `unknown`: no stack could be walked, or it ends before it comes to code of the program.
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
  if (site === undefined) return isCut(stack) ? 'unknown' : 'system';
  if (isBeforeMain(stack)) return 'startup';
  if (api !== undefined && !givesHandle(api, object)) return 'system';
  if (isAwaitedConnection(stack, object)) return 'runtime';
  if (site.runtime === true && isGo(site)) return actorInGo(stack);
  return runtimeOpener(stack, object) === undefined ? 'program' : 'runtime';
}

/** The function of a runtime that opened a handle for the runtime itself. */
interface RuntimeOpener {
  readonly frame: Frame;
  /** It is a function that calls another once in a process. */
  readonly isOnce: boolean;
}

/**
 * Finds the function of a runtime that opened the handle for itself; `undefined` where the handle is the program's.
 *
 * As with Windows, the function of the runtime that the program called decides, and the type of the handle does where
 * that function is not known ({@link runtimeGives}). Two things prove that a runtime opened even a file for itself:
 * that it was to be opened once, and no function of the program asked for that; and services like backtraces.
 */
export function runtimeOpener(stack: Stack, object: HandleObject): RuntimeOpener | undefined {
  const { carriers: all, site } = dissect(stack);
  const engine = all.find(({ code }) => code === 'engine');
  // Only Node.js's own JavaScript is on the stack, or none.
  if (engine !== undefined && site?.runtime === true) return { frame: engine.frame, isOnce: false };
  // Between the engine and Windows there may be a library that opens something for itself.
  const carriers = engine === undefined ? all : all.slice(0, all.indexOf(engine));
  if (carriers[0]?.code === 'host') return { frame: carriers[0].frame, isOnce: false };
  if (carriers.length === 0 && engine !== undefined) return undefined;
  // The compiler may have put code of the program into a generic function.
  if (carriers[0]?.code !== 'compiled') return undefined;
  const names = carriers.map(({ frame }) => functionName(frame));
  const entry = carriers.findLastIndex(({ code }, index) => code === 'compiled' && !callsOnce(names[index]));
  const once = names.findLastIndex((name, index) => index < entry && callsOnce(name));
  if (once !== -1) return { frame: carriers[once]!.frame, isOnce: true };
  const service = names.findIndex((name) => servesItself(name) || preparesConnection(name, object));
  if (service !== -1) return { frame: carriers[service]!.frame, isOnce: false };
  const outermost = carriers.findLastIndex(({ code }) => code === 'compiled');
  if (runtimeGives(names[outermost], object)) {
    const start = startOfNode(stack, names[outermost], object);
    return start && { frame: start, isOnce: false };
  }
  const { frame } = carriers[outermost]!;
  return { frame, isOnce: callsOnce(names[outermost]) };
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
  const { site, api, carriers } = dissect(stack);
  if (site === undefined) return isCut(stack) ? 'unknown' : 'system';
  if (site.runtime === true) {
    if (isGo(site)) return actorInGo(stack);
    if (carriers.length === 0) return 'startup';
    return wasTheProgramsOwn(misuse) ? 'program' : 'runtime';
  }
  if (misuse.opened !== undefined && isGoLibrarysOwn(programFrames(misuse.opened.stack), programFrames(stack)))
    return 'runtime';
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

/** The frame that best names a stack of nothing but system frames: the outermost one that is no start of a thread. */
export function outermostSystemFrame(stack: Stack): Frame | undefined {
  const { inner } = dissect(stack);
  // Every thread begins in these functions.
  const named = inner.filter(
    ({ interposed, function: name = '' }) =>
      interposed !== true && !/^(?:RtlUserThreadStart|BaseThreadInitThunk|LdrInitializeThunk)$/.test(name),
  );
  return named.at(-1) ?? inner.at(-1);
}
