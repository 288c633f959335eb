import type { CallRecord, Misuse } from '../evidence-model.ts';
import type { HandleHistory, HistoryEvent, Stack } from '../model.ts';
import { canonicalText } from './grouping.ts';
import { dissect, trimStack } from './stacks.ts';

/** A life of the value, with what is known of its calls. */
interface Life {
  readonly type: string;
  readonly opened?: Partial<CallRecord> & Pick<CallRecord, 'stack'>;
  readonly closed?: Partial<CallRecord> & Pick<CallRecord, 'stack'>;
}

/** A stale close that was carried out (stale-closes.ts) is known by the calls that were refused for it. */
interface CarriedOut {
  readonly consequences?: readonly Misuse[];
  readonly stray?: Misuse;
}

/**
 * The calls by which the value of a misuse came to what it was, from the oldest life that is known to the mistake;
 * `undefined` where the value had no life before its last one.
 *
 * A value that the same code opens and closes all the time has many lives, and they tell nothing: there is no history
 * where all of them are alike. Lives that Windows gave a value and ended by itself are left out.
 */
export function historyOf(misuse: Misuse & CarriedOut): HandleHistory | undefined {
  const wasCarriedOut = misuse.consequences !== undefined;
  const told = wasCarriedOut ? (misuse.consequences[0] ?? misuse.stray) : misuse;
  const [value] = told?.values ?? [];
  if (told?.lives === undefined || value === undefined) return undefined;
  const { opened, closed, offending, object = { type: 'Unknown' } } = told;
  const earlier = told.lives.filter((life) => [life.opened, life.closed].some(isOfProgram));
  const last: Life = { type: object.type, ...(opened && { opened }), ...(closed && { closed }) };
  if (earlier.every((life) => callsOf(life) === callsOf(last))) return undefined;
  const lives: readonly Life[] = [...earlier.map(({ object: { type }, ...calls }) => ({ type, ...calls })), last];
  const events = lives.flatMap((life, index): readonly HistoryEvent[] => {
    const isStrangers = wasCarriedOut && life === last;
    const closed = eventOf(isStrangers ? 'closed-by-stranger' : 'closed', index + 1, life.type, life.closed);
    return [
      ...eventOf('opened', index + 1, life.type, life.opened),
      ...closed.map((event) => ({ ...event, ...findCloser(lives.slice(0, index), life) })),
    ];
  });
  const isStray = wasCarriedOut && told === misuse.stray;
  const mistake = eventOf(isStray ? 'closed-by-stranger' : 'misused', lives.length, object.type, offending);
  const closer = told.kind === 'use' ? {} : findCloser(lives.slice(0, -1), { ...last, closed: offending });
  return { handle: value, events: [...events, ...mistake.map((event) => ({ ...event, ...closer }))] };
}

/** The program had a part in a call, or may have had one. */
function isOfProgram(call: Life['opened']): boolean {
  if (call === undefined) return false;
  const { site } = dissect(call.stack);
  return call.stack.length === 0 || (site !== undefined && site.runtime !== true);
}

function callsOf({ opened, closed }: Pick<Life, 'opened' | 'closed'>): string {
  return canonicalText([opened?.stack, closed?.stack]);
}

function eventOf(event: HistoryEvent['event'], life: number, type: string, call: Life['opened']): HistoryEvent[] {
  if (call === undefined) return [];
  const { timeMs, threadId, stack, call: name } = call;
  return [
    {
      event,
      life,
      type,
      ...(name === undefined ? {} : { call: name }),
      ...(threadId === undefined ? {} : { threadId }),
      ...(timeMs === undefined ? {} : { timeMs }),
      stack: trimStack(stack),
    },
  ];
}

/**
 * The number of the life, of another opener, that the same instruction of the program had closed before it closed this
 * one. It is no verdict: one function may close what many open. Where it closed lives of several openers, or one of
 * this opener, it is the place for that, and means nothing.
 */
function findCloser(earlier: readonly Life[], { opened, closed }: Life): Pick<HistoryEvent, 'closerOf'> {
  if (opened === undefined || closed === undefined) return {};
  const place = placeOf(closed.stack);
  const alike = earlier.filter((life) => life.closed !== undefined && placeOf(life.closed.stack) === place);
  const openers = new Set(alike.map((life) => placeOf(life.opened?.stack ?? [])));
  if (place === '' || openers.size !== 1 || openers.has('') || openers.has(placeOf(opened.stack))) return {};
  return { closerOf: earlier.indexOf(alike[0]!) + 1 };
}

/** The instruction of the program that made a call; empty where it is not known. */
function placeOf(stack: Stack): string {
  const { site } = dissect(stack);
  return site === undefined ? '' : canonicalText(site);
}
