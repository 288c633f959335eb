import type { HandleObject } from '../../model.ts';
import type { Evidence, Misuse, OpenSite } from '../../evidence-model.ts';
import { attributeMisuse, attributeOpening } from '../attribution.ts';
import { canonicalText, haveSameProgramFrames, type RuleCheck } from '../grouping.ts';
import { checkMisuses, type Misuses } from '../misuse.ts';
import { properClosers, spellNoun } from '../object-noun.ts';
import { dissect, exportedName } from '../stacks.ts';
import { isInDescriptorLoop } from '../descriptor-loops.ts';
import { isConsequence } from '../stale-closes.ts';
import { spellHistory, spellTimes, spellValue } from '../wording.ts';

/**
 * `wrong-closer`: an object that was given to the closing function of another kind of object, whether that closed it,
 * refused it or crashed; or a socket, a registry key or the handle of a runtime object that CloseHandle closed.
 *
 * The function that the program called decides, because Wine's closesocket and C runtimes call CloseHandle themselves,
 * and Windows closes keys of its own with it.
 *
 * https://learn.microsoft.com/windows/win32/api/handleapi/nf-handleapi-closehandle
 */
export const wrongCloser: RuleCheck = checkMisuses({
  rule: 'wrong-closer',
  applies: isWrongCloser,
  level: ({ all }) => (all.every(isHarmless) ? 'warning' : 'error'),
  message(misuses) {
    const { all, subject, values, offender, count } = misuses;
    const verb = values.length > 1 ? 'were' : 'was';
    const act = `${subject}${spellHistory(all, 'may-be-open')} ${verb}`;
    const call = `${offender}${spellTimes(count)}`;
    if (all.every(isClosedBeneath)) return `${act} closed by ${call}${spellBeneath(all)}: ${spellWant(misuses)}.`;
    if (all.every(({ kind, outcome }) => kind === 'closed-as-handle' || outcome === 'closed'))
      return `${act} closed by ${call}: ${spellWant(misuses)}.`;
    if (all.some(({ outcome }) => outcome === 'never-returned'))
      return `${act} given to ${call}: ${spellWant(misuses)}, and the call never returned.`;
    return `${act} given to ${call}: ${spellWant(misuses)}, and stayed open.`;
  },
});

/** Whether the misuse is one of this rule. */
export function isWrongCloser(misuse: Misuse, evidence: Evidence): boolean {
  if (misuse.kind !== 'wrong-closer') return isClosedAsHandle(misuse) || isClosedBeneath(misuse);
  if (isConsequence(misuse, evidence)) return false;
  if (isRuntimeObject(misuse)) return !isProgramsHandle(misuse, evidence);
  if (isInDescriptorLoop(misuse, evidence) || isPerhapsNotification(misuse)) return false;
  // A value that Windows has for a handle of its own is no better than any other number.
  return misuse.outcome === 'closed' || isOpenedByProgram(misuse);
}

/**
 * Every handle of the site was given to a wrong closer, which is a finding already: that it stayed open is no second
 * mistake.
 */
export function isTakenIn({ givenToWrongCloser, opened }: OpenSite, evidence: Evidence): boolean {
  if (givenToWrongCloser !== true) return false;
  const site = canonicalText(opened?.stack);
  return !evidence.misuses.some(
    (misuse) =>
      misuse.kind === 'wrong-closer' &&
      canonicalText(misuse.opened?.stack) === site &&
      (attributeMisuse(misuse) !== 'program' || !isWrongCloser(misuse, evidence)),
  );
}

/**
 * CloseHandle was given a number that is both: of an open descriptor, and of a handle that is no handle of the program.
 * So the descriptor was meant.
 */
export function isMeantAsDescriptor(misuse: Misuse, evidence: Evidence): boolean {
  return evidence.misuses.some(
    (other) => other.kind === 'wrong-closer' && isSameCall(other, misuse) && isWrongCloser(other, evidence),
  );
}

/**
 * A C runtime closes a handle that had been closed beneath it. The mistake is the first close, which has a finding of
 * its own.
 */
export function isCloseOfClosedBeneath({ object, closed }: Misuse, { misuses }: Evidence): boolean {
  if (object?.wrapper === undefined || closed === undefined) return false;
  return misuses.some(
    (misuse) =>
      (isClosedBeneath(misuse) || (misuse.outcome === 'closed' && misuse.object?.wrapper !== undefined)) &&
      haveSameProgramFrames(misuse.offending.stack, closed.stack),
  );
}

function spellWant({ all: [{ offending }], object, values }: Misuses): string {
  const closer = closerOf(object);
  const called = calledFunction({ offending }) || offending.call;
  if (object.wrapper === undefined || called !== closer)
    return `${values.length > 1 ? 'they want' : 'it wants'} ${closer}`;
  // The handle in the place of its descriptor or FILE.
  return `${closer} wants ${spellWrapper(object)} in its place`;
}

/** A socket wants closesocket even where a descriptor stands for it. */
function closerOf({ type, wrapper }: HandleObject): string {
  if (type === 'Unknown') return 'another function';
  return properClosers[type] ?? properClosers[wrapper?.type ?? ''] ?? 'CloseHandle';
}

/** `, beneath descriptor 3`: what still stands for closed handles. A change notification is the handle itself. */
function spellBeneath(misuses: readonly Misuse[]): string {
  const [first, ...rest] = misuses.flatMap(({ object }) => object ?? []);
  if (first === undefined || first.wrapper?.type === 'ChangeNotification') return '';
  return `, beneath ${spellWrapper(rest.length > 0 ? { type: first.type, wrapper: { type: first.wrapper!.type } } : first)}`;
}

/** `descriptor 3`, `the FILE 0x228306250`, `a descriptor`. */
function spellWrapper({ wrapper = { type: 'Descriptor' } }: HandleObject): string {
  if (wrapper.value === undefined) return `a ${spellNoun(wrapper)}`;
  return `${wrapper.type === 'FILE' ? 'the ' : ''}${spellNoun(wrapper)} ${spellValue(wrapper.value, wrapper.type)}`;
}

/** Nothing was left behind, on the systems that are known: the handle was closed, and had nothing more to it. */
function isHarmless({ kind, object, outcome, offending }: Misuse): boolean {
  if (kind === 'closed-as-handle') return object?.wrapper?.type === 'ChangeNotification';
  const hasNoMore =
    object?.type !== 'Socket' && (object?.wrapper?.type ?? 'ChangeNotification') === 'ChangeNotification';
  return (
    outcome === 'closed' && offending.call === 'FindCloseChangeNotification' && hasNoMore && object?.type !== 'Key'
  );
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

/** CloseHandle closed the handle of a runtime object, whose library still takes it for open. */
function isClosedBeneath(misuse: Misuse): boolean {
  return (
    misuse.kind === 'closed-as-handle' &&
    misuse.object?.wrapper !== undefined &&
    !isClosedAsHandle(misuse) &&
    calledFunction(misuse) === 'CloseHandle'
  );
}

function calledFunction({ offending: { stack } }: Pick<Misuse, 'offending'>): string {
  const { site, api } = dissect(stack);
  return (site !== undefined && api !== undefined && exportedName(api)) || '';
}

/** Another process, or a duplication, may have given the program a change notification, which is a File like others. */
function isPerhapsNotification({ object, opened, offending }: Misuse): boolean {
  return (
    offending.call === 'FindCloseChangeNotification' &&
    object?.type === 'File' &&
    object.wrapper === undefined &&
    (opened === undefined || opened.call === 'NtDuplicateObject')
  );
}

/** A library made the object, and knows its kind. */
function isRuntimeObject({ object }: Misuse): boolean {
  return /^(?:Descriptor|FILE|Search|PseudoConsole)$/.test(object?.type ?? '');
}

/** The number of the descriptor is also that of a handle of the program, which may be meant as well. */
function isProgramsHandle(misuse: Misuse, { misuses }: Evidence): boolean {
  return misuses.some(
    (other) =>
      other.kind !== 'wrong-closer' &&
      isSameCall(other, misuse) &&
      isOpenedByProgram(other) &&
      // The kernel ignores the low two bits, and no handle is given out with them.
      !misuse.values.some((value) => (value & 3n) !== 0n),
  );
}

function isSameCall(one: Misuse, other: Misuse): boolean {
  return (
    one.offending.call === other.offending.call &&
    one.values.some((value) => other.values.includes(value)) &&
    canonicalText(one.offending.stack) === canonicalText(other.offending.stack)
  );
}

function isOpenedByProgram({ opened, object }: Misuse): boolean {
  return opened !== undefined && attributeOpening(opened.stack, object ?? { type: 'Unknown' }) === 'program';
}
