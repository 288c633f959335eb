import type { HandleObject, Stack } from '../model.ts';
import type { Evidence, Misuse } from '../evidence-model.ts';
import type { Level, Rule } from '../rules.ts';
import { attributeMisuse } from './attribution.ts';
import { checkSites, compareText, type RuleCheck } from './grouping.ts';
import { historyOf } from './history.ts';
import { spellNoun } from './object-noun.ts';
import { normaliseStack, normaliseStackWithInternals, trimStack } from './stacks.ts';
import { capitalise, spellHistory, spellOffender, spellPlace, spellSubject, spellTimes } from './wording.ts';

/** https://learn.microsoft.com/openspecs/windows_protocols/ms-erref/596a1078-e883-4972-9bbc-49e60bebca55 */
export const STATUS_INVALID_HANDLE = 0xc0000008;
export const STATUS_OBJECT_TYPE_MISMATCH = 0xc0000024;
export const STATUS_HANDLE_NOT_CLOSABLE = 0xc0000235;

/**
 * The call was refused because its value was no open handle. A pseudo handle in the wrong place is refused for its type
 * (-1 is the current process, and ReadFile reads no processes), but it was meant as INVALID_HANDLE_VALUE.
 */
export function isInvalidHandle({ status, values }: Misuse): boolean {
  return status === STATUS_INVALID_HANDLE || (status === STATUS_OBJECT_TYPE_MISMATCH && values.every(isPlaceholder));
}

/**
 * The value is a placeholder and no handle: NULL, INVALID_HANDLE_VALUE, or one of the pseudo handles -2 to -6
 * (GetCurrentThread, GetCurrentProcessToken and others), which need no closing. Most closes of such a value are
 * clean-up code for a handle that was not opened.
 */
export function isPlaceholder(value: bigint): boolean {
  const signed = BigInt.asIntN(64, value);
  return signed <= 0n && signed >= -6n;
}

/** The value had once been a handle of the target: the recorder saw it opened, saw it closed, or found it open. */
export function wasOpen({ opened, closed, openedUnseen }: Misuse): boolean {
  return opened !== undefined || closed !== undefined || openedUnseen === true;
}

/**
 * The refused value itself was closed before. Either the recorder saw the close, or the refused call proves it, because
 * it takes no other handle (NtClose and its like). A read may be refused for its event, and a duplication for its
 * process.
 */
export function wasCertainlyClosed({ closed, offending }: Misuse): boolean {
  return (
    closed !== undefined ||
    /^(?:NtClose|ZwClose|closesocket|_close|fclose|_fclose_nolock|_pclose|FindClose)$/.test(offending.call)
  );
}

/** The sentence for a call that was refused for an invalid handle although the recorded handle seemed to be open. */
export function doubtfulMessage({ subject, all, values, offender, count }: Misuses): string {
  const verb = values.length > 1 ? 'were' : 'was';
  const refused = `${capitalise(offender)} was refused for an invalid handle${spellTimes(count)}`;
  return `${refused}. ${subject}${spellHistory(all, 'may-be-open')} ${verb} not seen to be closed: another handle of the same call may be meant.`;
}

/** The parts of a sentence about misuse; all misuses are of one site. */
export interface Misuses {
  readonly all: readonly [Misuse, ...Misuse[]];
  readonly count: number;
  readonly object: HandleObject;
  /** Every known value once, ascending. */
  readonly values: readonly bigint[];
  /** Windows or the program's runtime made the call for itself: the finding is a note. */
  readonly foreign: boolean;
  /** `SetEvent at main (gate.c:40)` */
  readonly offender: string;
  /** `Event handle 0x1a4` */
  readonly subject: string;
}

/** A rule about refused calls, as its file states it. */
interface MisuseRule {
  readonly rule: Rule;
  applies(misuse: Misuse, evidence: Evidence): boolean;
  /** Calls that were not refused, but that the evidence shows to break the rule. */
  derive?(evidence: Evidence): readonly Misuse[];
  /** The level when the program made the call. */
  level(misuses: Misuses, evidence: Evidence): Level;
  message(misuses: Misuses, evidence: Evidence): string;
  /** In many programs two closes race: they are one site in either order. */
  readonly closesInAnyOrder?: true;
}

/** Makes the check of a rule about refused calls. All stacks are part of the identity of a site. */
export function checkMisuses({ rule, applies, derive, level, message, closesInAnyOrder }: MisuseRule): RuleCheck {
  return checkSites<Misuse>({
    rule,
    select: (evidence) => [
      ...evidence.misuses.filter((misuse) => applies(misuse, evidence)),
      ...(derive?.(evidence) ?? []),
    ],
    typeOf: ({ object }) => object?.type ?? 'Unknown',
    sectionsOf: ({ sections }) => sections,
    siteOf(misuse) {
      const foreign = isForeign(misuse);
      const offending = (foreign ? normaliseStackWithInternals : normaliseStack)(misuse.offending.stack).join('|');
      const closed = misuse.closed === undefined ? '' : normaliseStack(misuse.closed.stack).join('|');
      const opened = misuse.opened === undefined ? '' : normaliseStack(misuse.opened.stack).join('|');
      const calls = [offending, closed];
      if (closesInAnyOrder === true && !foreign) calls.sort(compareText);
      return [foreign ? 'foreign' : 'program', misuse.kind, ...calls, opened];
    },
    assessSite(entries, _options, evidence) {
      // In a race both orders occur; the one that occurred more often is shown.
      const all = [...entries].sort((a, b) => b.count - a.count) as [Misuse, ...Misuse[]];
      const [shown] = all;
      const object = shown.object ?? { type: 'Unknown' };
      const values = [...new Set(all.flatMap((misuse) => misuse.values.map((value) => BigInt.asUintN(64, value))))];
      values.sort((a, b) => (a < b ? -1 : 1));
      const misuses: Misuses = {
        all,
        count: all.reduce((total, misuse) => total + misuse.count, 0),
        object,
        values,
        foreign: isForeign(shown),
        offender: spellOffender(all, isForeign(shown)),
        subject: spellSubject(object, values),
      };
      const history = historyOf(shown);
      return {
        level: misuses.foreign ? 'note' : level(misuses, evidence),
        message: message(misuses, evidence),
        count: misuses.count,
        object,
        handles: all.flatMap((misuse) => misuse.values.map((value) => ({ value, object: misuse.object ?? object }))),
        stacks: {
          ...stackOf('opened', shown.opened?.stack),
          ...stackOf('closed', shown.closed?.stack),
          ...stackOf('offending', shown.offending.stack),
          ...stackOf('victim', shown.victim?.opened),
        },
        ...(history === undefined ? {} : { history }),
      };
    },
  });
}

/** `the Event handle opened at b (x.c:2)`: what a stale call would have reached. */
export function spellVictims(misuses: readonly Misuse[]): string {
  const victims = misuses.flatMap(({ victim }) => (victim === undefined ? [] : [victim]));
  return `the ${spellNoun(victims[0]?.object ?? { type: 'Unknown' })} opened at ${spellPlace(...victims.map(({ opened }) => opened))}`;
}

function isForeign(misuse: Misuse): boolean {
  return attributeMisuse(misuse) !== 'program';
}

function stackOf<Key extends string>(key: Key, stack: Stack | undefined): { [key in Key]?: Stack } {
  return (stack === undefined ? {} : { [key]: trimStack(stack) }) as { [key in Key]?: Stack };
}
