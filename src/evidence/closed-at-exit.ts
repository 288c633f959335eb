import type { CallLedger } from '../call-ledger.ts';
import type { Stack } from '../model.ts';
import type { CallReader } from './calls.ts';
import { SiteGroups } from './site-groups.ts';
import type { SiteGroup } from './sites.ts';
import { entryOf } from './sources.ts';

/** Functions in which a process exits. Some C runtimes close their streams there, before the process exits. */
const exitFunction: RegExp = /^(?:RtlExitUserProcess|LdrShutdownProcess|ExitProcess|_?exit|_cexit|_c_exit|quick_exit)$/;

/**
 * Handles that the program left to its runtime: a C runtime closes forgotten streams when its DLL is detached, after
 * the program's last instruction. A handle that a destructor of the program closes as late as that is no leak.
 */
export function groupClosedAtExit(ledger: CallLedger, calls: CallReader): readonly SiteGroup[] {
  const sites = new SiteGroups(calls);
  for (const value of ledger.valuesClosedWhileExiting()) {
    const life = ledger.life(value);
    if (life?.opened?.call === undefined || life.closed === undefined) continue;
    if (!isClosedByRuntime(calls.read(life.closed).stack)) continue;
    sites.add(life, entryOf(value, life.objectType), life.givenToWrongCloser === true);
  }
  return sites.groups;
}

/** Whether no code of the program stands between the exit of the process and the close. */
export function isClosedByRuntime(stack: Stack): boolean {
  const exit = stack.findIndex(({ system, function: name }) => system === true && exitFunction.test(name ?? ''));
  return exit >= 0 && stack.slice(0, exit).every(({ system }) => system === true);
}
