import { parseLine, type Suppression } from '../../analyze/suppressions.ts';
import { WATCH_COUNT } from '../../agent/ledger/stop.ts';
import { isRuleName, type Rule } from '../../rules.ts';
import { UserError } from '../../user-error.ts';

/** A text of orders cannot be used. */
class StopOrderError extends UserError {
  constructor(text: string, why: string, advice: string) {
    super(`Cannot stop at "${text}": ${why}. Try ${advice}.`);
  }
}

/** One moment at which a thread is to stop: `double-close`, `double-close:close_log`, `leak:open_log@100`. */
export interface StopOrder {
  readonly text: string;
  readonly rule: Rule;
  /** A line that the finding must match, as a suppression does; absent: every finding of the rule. */
  readonly site?: Suppression;
  /** For a leak: how many handles are open of the site. */
  readonly count: number;
}

/** Limits of a count; a ledger has no more slots. */
const COUNT_MAX = 1 << 24;

/**
 * Parses orders, with commas between them.
 *
 * @throws StopOrderError for the first one that cannot be used
 * @throws SuppressionError for a pattern that matches everything
 */
export function parseStopOrders(text: string): readonly StopOrder[] {
  return text.split(',').map((each) => parseStopOrder(each.trim()));
}

function parseStopOrder(text: string): StopOrder {
  const [, whole = '', counted] = /^(.*?)(?:@(\d+))?$/s.exec(text) ?? [];
  const [, rule = whole, site] = /^([^:]*):(.*)$/s.exec(whole) ?? [];
  if (!isRuleName(rule)) throw new StopOrderError(text, `there is no rule "${rule}"`, 'double-close');
  if (rule === 'inherited')
    throw new StopOrderError(text, 'no call of the program is the mistake', 'use-after-close, or another rule');
  if (rule !== 'leak' && counted !== undefined)
    throw new StopOrderError(text, 'only open handles are counted', `${rule}, or leak:open_log@100`);
  if (rule === 'leak' && site === undefined)
    throw new StopOrderError(text, 'which site is to be counted is missing', 'leak:open_log@100');
  const count = Number(counted ?? 1);
  if (count < 1 || count > COUNT_MAX)
    throw new StopOrderError(text, `the count must be from 1 to ${COUNT_MAX}`, 'leak:open_log@100');
  return { text, rule, count, ...(site === undefined ? {} : { site: parseLine(whole, text, 1) }) };
}

/**
 * The openings that are to be counted, each order once; their places from 1 on are the numbers of the recorder's
 * watches.
 *
 * @throws StopOrderError when there are more than the recorder can count
 */
export function listWatches(orders: readonly StopOrder[]): readonly StopOrder[] {
  const watches = new Map(orders.filter(({ rule }) => rule === 'leak').map((order) => [order.text, order]));
  const most = WATCH_COUNT - 1;
  if (watches.size > most)
    throw new StopOrderError([...watches.keys()].join(), `more than ${most} sites cannot be counted`, 'fewer');
  return [...watches.values()];
}
