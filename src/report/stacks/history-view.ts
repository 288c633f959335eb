import type { Finding, HandleHistory, HistoryEvent } from '../../model.ts';
import { rules } from '../../rules.ts';
import { spellNoun } from '../../analyze/object-noun.ts';
import { hexadecimal } from '../numbers.ts';
import { drawStackLine, type StackView } from './stack-view.ts';
import { cutEnd } from '../text-width.ts';

/** In a brief view, the last calls alone have lines. */
const briefEvents = 4;

/** `the life of 0x44` */
export function spellHistoryTitle({ handle }: HandleHistory): string {
  return `the life of ${hexadecimal(handle)}`;
}

/** `opened as a File handle`, `closed by the code that had closed life 1`: what happened. No text is escaped. */
export function spellEvent({ rule, history }: Finding, { event, life, type, closerOf }: HistoryEvent): string {
  const noun = spellNoun({ type });
  const what = `${/^[AEIO]/.test(noun) ? 'an' : 'a'} ${noun}`;
  const closer = closerOf === undefined ? '' : `the code that had closed life ${closerOf}`;
  if (event === 'opened') return `${life === 1 ? 'opened' : 'given out again'} as ${what}`;
  if (event === 'closed') return closer === '' ? 'closed' : `closed by ${closer}`;
  if (event === 'closed-by-stranger') return `probably closed by ${closer === '' ? 'a stranger' : closer}`;
  const isOwners = history?.events.some((each) => each.event === 'closed-by-stranger');
  const mistake = isOwners === true ? 'refused' : rules[rule].stackLabels.offending.replace(/ at$/, '');
  return closer === '' ? mistake : `${mistake} by ${closer}`;
}

/** `thread 92, 12.3 ms`; empty where neither is known. */
export function spellMoment({ threadId, timeMs }: HistoryEvent): string {
  return [
    ...(threadId === undefined ? [] : [`thread ${threadId}`]),
    ...(timeMs === undefined ? [] : [`${timeMs.toFixed(1)} ms`]),
  ].join(', ');
}

/** The calls by which the value of a finding came to the mistake, two lines each. */
export function drawHistory(finding: Finding, view: StackView): readonly string[] {
  const { history } = finding;
  if (history === undefined) return [];
  const { theme, width, brevity } = view;
  const events = brevity === undefined ? history.events : history.events.slice(-briefEvents);
  const digits = String(history.events.at(-1)?.life ?? 1).length;
  const lines = events.flatMap((event): readonly string[] => {
    const number = event.event === 'opened' ? String(event.life).padStart(digits) : ' '.repeat(digits);
    const moment = spellMoment(event);
    const room = width - digits - 8 - moment.length;
    const what = cutEnd(theme.escape(spellEvent(finding, event)), room, theme.signs.ellipsis);
    const stack = drawStackLine(event.stack, { ...view, width: width - digits - 8 });
    return [
      `    ${theme.dim(number)}  ${what}${moment === '' ? '' : `  ${theme.dim(moment)}`}`,
      `    ${' '.repeat(digits)}    ${stack}`,
    ];
  });
  return ['', `  ${theme.strong(spellHistoryTitle(history))}`, ...lines];
}
