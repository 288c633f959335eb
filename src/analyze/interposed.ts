import type { Frame, Stack } from '../model.ts';
import { exportedName, moduleName } from './stacks.ts';
import { isBaseModule } from './windows-calls.ts';

/*
 * Other software may stand between the program and Windows: security software that hooks functions, a shim for
 * compatibility, a verifier. The program knows nothing of it, and it opens a handle only because the program asked. So
 * its frames are neither the site of a call nor the function of Windows that the program called.
 */

/** Facts about the modules of a target. */
export interface Interposers {
  /** A module that is neither Windows' nor in the program's directory, by its name in lower case. */
  isForeign(module: string): boolean;
  /**
   * A function of Windows begins with a jump that leads into a module.
   *
   * @param module in lower case
   * @param name of the function; `undefined` for any system call
   */
  isHooked(module: string, name: string | undefined): boolean;
}

/**
 * DLLs of Windows that stand between a program and the others: the shims of the compatibility engine, and Application
 * Verifier with its checks.
 * https://learn.microsoft.com/windows/deployment/planning/understanding-shims and
 * https://learn.microsoft.com/windows-hardware/drivers/devtest/application-verifier
 */
const inBox: RegExp =
  /^(?:ac(?:genral|layers|res|specfc|winrt|xtrnal)|verifier|vrfcore|vf(?:basics|compat|cuzz|dynf|luapriv|net|ntlmless|nws|print|printpthelper))\.dll$/;

/** The compatibility engine itself. Windows calls it, too, at the start of a process, for example. */
const shimEngine: RegExp = /^(?:apphelp|shimeng)\.dll$/;

/**
 * Functions of the base DLLs that call functions of the program, or begin its code. Such a function is on the stack
 * because a DLL was asked for something, and not because it has hooked anything.
 */
const callsBack: RegExp = new RegExp(
  `^(?:${[
    'Ldr|Ki[A-Z]|Tp[A-Z]|Csr[A-Z]|DbgUi|BaseThread|CtrlRoutine',
    'Rtl(?:User(?:Thread|Fiber)Start|RunOnce|ExecuteHandler|Dispatch|Raise|Unwind|ExitUser|Fls|QueryRegistryValues|p)',
    'LoadLibrary|LoadPackaged|FreeLibrary|Exit(?:Process|Thread)|InitOnce|Enum|Copy(?:File|Package)|MoveFile|ReplaceFile',
    'ReadEncrypted|WriteEncrypted|ProcessTrace|StartServiceCtrl|TreeSet|TreeReset|Notify|Perf|Etw|RegisterTrace',
    'Event(?:Register|Set)|Raise(?:Exception|FailFast)|UnhandledException|SwitchToFiber|Convert(?:Thread|Fiber)',
    'DeleteFiber|FlsFree|PssWalk|WSAAccept|WSPStartup|quick_exit|abort|raise|signal|terminate|unexpected|atexit',
    '_?(?:bsearch|qsort|lfind|lsearch|initterm|c_exit|cexit|exit|Exit|beginthread|threadstart)',
    '_(?:onexit|crt_at|execute_onexit|register|call|_C|Cxx|Xcpt|except|invalid_parameter|invoke|purecall|heapwalk)',
    '(?:_aligned_)?(?:malloc|calloc|realloc)',
  ].join('|')})`,
);

/** The stack with the frames of {@link Interposers} marked ({@link Frame.interposed}); itself where there are none. */
export function markInterposed(stack: Stack, interposers: Interposers): Stack {
  const marked = [...stack];
  let hasChanged = false;
  for (let begin = 0; begin < stack.length; ) {
    const module = moduleName(stack[begin]!);
    let end = begin + 1;
    while (end < stack.length && moduleName(stack[end]!) === module) end += 1;
    if (isInterposed(marked, begin, end, interposers)) {
      hasChanged = true;
      for (let index = begin; index < end; index += 1)
        marked[index] = { ...marked[index]!, system: true, interposed: true };
    }
    begin = end;
  }
  return hasChanged ? marked : stack;
}

/** The frames from `begin` to `end`, which are of one module, stand between the program and Windows. */
function isInterposed(stack: Stack, begin: number, end: number, interposers: Interposers): boolean {
  const [first, inner, outer] = [stack[begin]!, stack[begin - 1], stack[end]];
  const module = moduleName(first);
  if (first.system === true && inBox.test(module)) return true;
  if (first.system === true && shimEngine.test(module)) return outer !== undefined && outer.system !== true;
  if (first.javascript === true || first.module === '?') return false;
  if (inner !== undefined && inner.system !== true) return false;
  const isForeign = first.system !== true;
  if (isForeign ? !interposers.isForeign(module) : isBaseModule(first)) return false;
  if (isForeign && outer !== undefined && carriesCallOut(stack, end)) return true;
  const called = stack.slice(0, begin).findLast((frame) => frame.interposed !== true);
  if (called === undefined) return interposers.isHooked(module, undefined);
  const name = isBaseModule(called) ? exportedName(called) : undefined;
  return name !== undefined && interposers.isHooked(module, name);
}

/**
 * The frames from an index on are base functions of Windows that carry out a call of the program: they call other
 * functions of Windows only, whatever answers.
 */
function carriesCallOut(stack: Stack, begin: number): boolean {
  const end = stack.findIndex((frame, index) => index >= begin && frame.system !== true);
  const api: Frame | undefined = stack[end - 1];
  return (
    end > begin &&
    api !== undefined &&
    exportedName(api) !== undefined &&
    stack.slice(begin, end).every((frame) => isBaseModule(frame) && !callsBack.test(exportedName(frame) ?? ''))
  );
}
