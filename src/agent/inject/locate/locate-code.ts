import type { CodeRange } from '../../link/link-agent.ts';
import { findFunctions } from './locate-functions.ts';
import { findCloseHandle, locateStubs, type StubRange } from './locate-hooks.ts';

/** The code to hook, which is the same for all targets: it lies at the same addresses in all of them. */
interface LocatedCode extends ReturnType<typeof findFunctions> {
  readonly stubs: readonly StubRange[];
  readonly closeHandle: CodeRange | undefined;
}

let located: LocatedCode | undefined;

/** Locates the code to hook in this process, once. */
export function locateCode(): LocatedCode {
  located ??= { ...findFunctions(), stubs: locateStubs(), closeHandle: findCloseHandle() };
  return located;
}
