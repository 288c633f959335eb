import type { Misuse } from '../model.ts';
import type { Judge } from './grouping.ts';
import { isInvalidHandle, misuseRule, STATUS_OBJECT_TYPE_MISMATCH } from './misuse.ts';
import { dissect, functionName } from './stacks.ts';
import { capitalise, spellHistory, spellNoun, spellTimes, spellValues } from './wording.ts';

/** What the objects want to be closed by, of which CloseHandle closes the handle and nothing that belongs to it. */
const closers: Readonly<Record<string, string>> = { Socket: 'closesocket', Key: 'RegCloseKey' };

/**
 * `wrong-closer`: a socket or a registry key that was closed by CloseHandle, also through a C runtime's `_close`, or a
 * `closesocket` of what is no socket.
 *
 * The function that the program called decides. Wine's own closesocket calls CloseHandle, and Windows closes keys of its own
 * by it.
 *
 * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-closehandle
 */
export const wrongCloser: Judge = misuseRule({
  rule: 'wrong-closer',
  applies: (misuse) => isClosedAsHandle(misuse) || isNoSocket(misuse),
  level: () => 'error',
  message({ subject, all, values, offender, object, count }) {
    const verb = values.length > 1 ? 'were' : 'was';
    if (all.every(isNoSocket)) {
      const article = /^[aeiou]/i.test(object.type) ? 'an' : 'a';
      return `${capitalise(article)} ${spellNoun(object)} (${spellValues(values)}) was given to ${offender}${spellTimes(count)}: it is no socket, and stayed open.`;
    }
    const closer = closers[object.type] ?? 'another function';
    return `${subject}${spellHistory(all, 'may-be-open')} ${verb} closed by ${offender}${spellTimes(count)}: it wants ${closer}.`;
  },
});

function isClosedAsHandle(misuse: Misuse): boolean {
  if (misuse.kind !== 'closed-as-handle' || closers[misuse.object?.type ?? ''] === undefined) return false;
  const { site, api } = dissect(misuse.offending.stack);
  return site !== undefined && api !== undefined && /^(?:CloseHandle|_?close|_?fclose|_?fcloseall)$/.test(functionName(api) ?? '');
}

/** What closesocket says of a handle that is open and no socket: WSAENOTSOCK. */
export function isNoSocket(misuse: Misuse): boolean {
  return misuse.kind === 'close' && misuse.status === STATUS_OBJECT_TYPE_MISMATCH && !isInvalidHandle(misuse);
}
