import { describe, expect, it } from 'vitest';

import { countsOpenings, isOf } from '../../../src/audit/stops/stop-finding.ts';
import { listWatches, parseStopOrders } from '../../../src/audit/stops/stop-orders.ts';

const frame = (name: string) => ({ module: 'app.exe', function: name, offset: 0 });

describe('an order to stop', () => {
  it.each([
    ['double-close', [{ rule: 'double-close', count: 1 }]],
    [
      'use-after-close:read_log, wrong-closer',
      [
        { rule: 'use-after-close', site: { line: 'use-after-close:read_log' } },
        { rule: 'wrong-closer', count: 1 },
      ],
    ],
    ['leak:open_log@100', [{ rule: 'leak', count: 100, site: { line: 'leak:open_log' } }]],
    ['leak:app.exe!open_log;type:File', [{ rule: 'leak', count: 1 }]],
  ])('%s is understood', (text, orders) => {
    expect(parseStopOrders(text)).toMatchObject(orders);
  });

  it.each([
    ['double-closed', 'there is no rule "double-closed"'],
    ['', 'there is no rule ""'],
    ['leak', 'which site is to be counted is missing'],
    ['leak@3', 'which site is to be counted is missing'],
    ['leak:*@3', 'a pattern matches everything'],
    ['leak:open_log@0', 'the count must be from 1'],
    ['leak:open_log@99999999999', 'the count must be from 1'],
    ['inherited', 'no call of the program is the mistake'],
    ['double-close@3', 'only open handles are counted'],
    ['double-close,', 'there is no rule ""'],
  ])('"%s" is none', (text, why) => {
    expect(() => parseStopOrders(text)).toThrow(why);
  });

  it('is about the findings of its rule whose stacks match', () => {
    const finding = {
      rule: 'double-close' as const,
      object: { type: 'Event' },
      stacks: { offending: [frame('close_log')] },
      fingerprint: '',
    };
    const matching = ['double-close', 'double-close:close_log', 'double-close:close_all', 'leak:close_log'].filter(
      (text) => parseStopOrders(text).every((order) => isOf(order, finding)),
    );
    expect(matching).toEqual(['double-close', 'double-close:close_log']);
  });

  it('counts the openings of its site and type', () => {
    const [order] = parseStopOrders('leak:open_log;type:^File$@2');
    expect(countsOpenings(order!, [frame('open_log'), frame('main')], 'File')).toBe(true);
    expect(countsOpenings(order!, [frame('open_log')], 'Event')).toBe(false);
    expect(countsOpenings(order!, [frame('main')], 'File')).toBe(false);
  });
});

describe('the watches', () => {
  it('are the orders for leaks, each once', () => {
    const orders = parseStopOrders('leak:one@2,double-close,leak:two,leak:one@2,leak:one@3');
    expect(listWatches(orders).map(({ text }) => text)).toEqual(['leak:one@2', 'leak:two', 'leak:one@3']);
  });

  it('are no more than the recorder can count', () => {
    const orders = (count: number) =>
      parseStopOrders(Array.from({ length: count }, (_, at) => `leak:site${at}`).join());
    expect(listWatches(orders(15))).toHaveLength(15);
    expect(() => listWatches(orders(16))).toThrow('more than 15 sites cannot be counted');
  });
});
