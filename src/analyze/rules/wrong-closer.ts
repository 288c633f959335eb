import type { Evidence, HandleObject, Misuse } from '../../model.ts';
import { canonicalText, type RuleCheck } from '../grouping.ts';
import { isInvalidHandle, type Misuses, checkMisuses, STATUS_OBJECT_TYPE_MISMATCH } from '../misuse.ts';
import { properClosers, spellNoun } from '../object-noun.ts';
import { dissect, exportedName } from '../stacks.ts';
import { capitalise, spellHistory, spellTimes, spellValue, spellValues } from '../wording.ts';

/**
 * `wrong-closer`: a socket, a registry key, or the handle of a C runtime's descriptor or FILE that was closed by
 * CloseHandle; a FILE, a search or a pseudo console that was given to CloseHandle; or a `closesocket` of what is no
 * socket.
 *
 * The function that the program called decides, because Wine's closesocket and C runtimes call CloseHandle themselves,
 * and Windows closes keys of its own with it.
 *
 * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-closehandle
 */
export const wrongCloser: RuleCheck = checkMisuses({
  rule: 'wrong-closer',
  applies: (misuse) =>
    isClosedAsHandle(misuse) || isClosedBeneath(misuse) || isGivenToCloseHandle(misuse) || isNoSocket(misuse),
  level: () => 'error',
  message(misuses) {
    const { all, count } = misuses;
    const times = spellTimes(count);
    if (all.every(isNoSocket)) return noSocketMessage(misuses, times);
    const { subject, values, offender, object } = misuses;
    const verb = values.length > 1 ? 'were' : 'was';
    const history = spellHistory(all, 'may-be-open');
    if (all.every(isGivenToCloseHandle))
      return `${subject}${history} ${verb} given to ${offender}${times}: it wants ${closerOf(object)}, and stayed open.`;
    if (all.every(isClosedBeneath))
      return `${subject}${history} ${verb} closed by ${offender}${times}, beneath ${spellWrappers(all)}: it wants ${closerOf(object)}.`;
    return `${subject}${history} ${verb} closed by ${offender}${times}: it wants ${closerOf(object)}.`;
  },
});

function noSocketMessage({ object, values, offender }: Misuses, times: string): string {
  const article = /^[aeiou]/i.test(object.type) ? 'an' : 'a';
  return `${capitalise(article)} ${spellNoun(object)} (${spellValues(values)}) was given to ${offender}${times}: it is no socket, and stayed open.`;
}

/** A socket wants closesocket even where a descriptor stands for it. */
function closerOf({ type, wrapper }: HandleObject): string {
  return properClosers[type] ?? properClosers[wrapper?.type ?? ''] ?? 'another function';
}

/** `descriptor 3`, `the FILE 0x228306250`, `a descriptor`: what still stands for a closed handle. */
function spellWrappers(misuses: readonly Misuse[]): string {
  const [first, ...rest] = misuses.flatMap(({ object }) => object?.wrapper ?? []);
  if (first?.value === undefined || rest.length > 0) return `a ${spellNoun(first ?? { type: 'Descriptor' })}`;
  return `${first.type === 'FILE' ? 'the ' : ''}${spellNoun(first)} ${spellValue(first.value, first.type)}`;
}

function isClosedAsHandle(misuse: Misuse): boolean {
  return (
    misuse.kind === 'closed-as-handle' &&
    /^(?:Socket|Key)$/.test(misuse.object?.type ?? '') &&
    !isOpenedBySystemCall(misuse) &&
    /^(?:CloseHandle|_?close|_?fclose|_?fcloseall)$/.test(calledFunction(misuse))
  );
}

/** The program made the system call itself. No library keeps anything for such a handle, and CloseHandle is right. */
function isOpenedBySystemCall({ opened }: Misuse): boolean {
  if (opened === undefined) return false;
  const { site, api } = dissect(opened.stack);
  return site !== undefined && api === undefined;
}

/** CloseHandle closed the handle of a descriptor or FILE, and its C runtime still takes it for open. */
function isClosedBeneath(misuse: Misuse): boolean {
  return (
    misuse.kind === 'closed-as-handle' &&
    misuse.object?.wrapper !== undefined &&
    !isClosedAsHandle(misuse) &&
    calledFunction(misuse) === 'CloseHandle'
  );
}

function calledFunction({ offending: { stack } }: Misuse): string {
  const { site, api } = dissect(stack);
  return (site !== undefined && api !== undefined && exportedName(api)) || '';
}

/** CloseHandle was given an open FILE, search or pseudo console, which is no handle of the kernel. */
export function isGivenToCloseHandle({ kind, object, offending, closed }: Misuse): boolean {
  return (
    kind === 'close' &&
    offending.call === 'NtClose' &&
    closed === undefined &&
    /^(?:FILE|Search|PseudoConsole)$/.test(object?.type ?? '')
  );
}

/**
 * A C runtime closes a handle that had been closed beneath it. The mistake is the first close, which has a finding of
 * its own.
 */
export function isCloseOfClosedBeneath({ object, closed }: Misuse, { misuses }: Evidence): boolean {
  if (object?.wrapper === undefined || closed === undefined) return false;
  const stack = canonicalText(closed.stack);
  return misuses.some((misuse) => isClosedBeneath(misuse) && canonicalText(misuse.offending.stack) === stack);
}

/** closesocket refused an open handle that is no socket (WSAENOTSOCK). */
function isNoSocket(misuse: Misuse): boolean {
  return misuse.kind === 'close' && misuse.status === STATUS_OBJECT_TYPE_MISMATCH && !isInvalidHandle(misuse);
}
