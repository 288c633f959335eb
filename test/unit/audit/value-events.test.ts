import { describe, expect, it } from 'vitest';
import { type LifeLedger, listValueEvents } from '../../../src/audit/value/value-events.ts';
import { ValueNews } from '../../../src/audit/value/value-news.ts';
import type { LedgerLife, LedgerMisuse } from '../../../src/call-ledger.ts';
import { calledBy } from '../evidence/told-ledger.ts';

const VALUE = 0x44n;

/** A life whose calls have its generation in their stacks. */
function life(generation: number, change: Partial<LedgerLife> = {}): LedgerLife {
  return {
    isOpen: false,
    generation: BigInt(generation),
    objectType: 'Event',
    opened: calledBy(10 * generation, 'NtCreateEvent', 5n),
    closed: calledBy(10 * generation + 1, 'NtClose', 5n),
    ...change,
  };
}

function mistake(of: LedgerLife, change: Partial<LedgerMisuse> = {}): LedgerMisuse {
  const offending = calledBy(99, 'NtSetEvent', 5n);
  return {
    kind: 'use',
    status: 0xc000_0008,
    count: 1,
    values: [VALUE],
    offending,
    worksOn: [],
    life: of,
    ...change,
  };
}

function ledgerOf(lives: readonly LedgerLife[], misuses: readonly LedgerMisuse[] = []): LifeLedger {
  return { life: () => lives[0], earlierLives: () => lives.slice(1), misuses: () => misuses };
}

const namesOf = (ledger: LifeLedger) =>
  listValueEvents(ledger, VALUE).map(({ generation, what, call }) => `${generation} ${what} by ${call.stackId}`);

describe('what is on record of a value', () => {
  it('is none where it was never seen', () => {
    expect(namesOf({ ...ledgerOf([]), life: () => undefined })).toEqual([]);
  });

  it('has the calls of all lives in order, although they have the same time', () => {
    const open = life(3, { isOpen: true, closed: undefined });
    const misuses = [mistake(life(2)), mistake(open, { kind: 'close' }), mistake(life(1))];
    expect(namesOf(ledgerOf([open, life(2), life(1)], misuses))).toEqual([
      '1 opened by 10',
      '1 closed by 11',
      '1 used after its close by 99',
      '2 opened by 20',
      '2 closed by 21',
      '2 used after its close by 99',
      '3 opened by 30',
      '3 refused to a close by 99',
    ]);
  });

  it('leaves out an opening from before the recording, and what is not written yet', () => {
    const before = life(1, { opened: { ...calledBy(0), call: undefined } });
    expect(namesOf(ledgerOf([life(2, { opened: undefined, closed: undefined }), before]))).toEqual(['1 closed by 11']);
  });

  it('leaves out mistakes with other values', () => {
    expect(namesOf(ledgerOf([life(1)], [mistake(life(1), { values: [0x48n] })]))).toHaveLength(2);
  });

  it.each<[what: string, kind: LedgerMisuse['kind'], of: LedgerLife]>([
    ['closed again', 'close', life(1)],
    ['used after its close', 'use', life(1)],
    ['refused to a use', 'use', life(1, { isOpen: true })],
    ['closed, and never was open', 'close', life(0)],
    ['used, and never was open', 'use', life(0)],
    ['given to a function that closes other objects', 'wrong-closer', life(1, { isOpen: true })],
    ['closed by a function for plain handles', 'closed-as-handle', life(1, { isOpen: true })],
  ])('says %s of a %s', (what, kind, of) => {
    const [event] = listValueEvents({ ...ledgerOf([], [mistake(of, { kind })]), life: () => undefined }, VALUE);
    expect(event).toMatchObject({ what, count: 1 });
  });
});

describe('the news of a value', () => {
  const tell = (news: ValueNews, ...args: Parameters<typeof ledgerOf>) =>
    Array.from(news.listNew(listValueEvents(ledgerOf(...args), VALUE)), ({ event, missedLives }) =>
      [event.generation, event.what, event.count, missedLives && `after ${missedLives}`]
        .filter((part) => part !== undefined)
        .join(' '),
    );

  it('is each call once, from look to look', () => {
    const news = new ValueNews(0n);
    const open = life(1, { isOpen: true, closed: undefined });
    expect(tell(news, [open])).toEqual(['1 opened']);
    expect(tell(news, [open])).toEqual([]);
    expect(tell(news, [life(2), life(1)])).toEqual(['1 closed', '2 opened', '2 closed']);
  });

  it('is a mistake again when it was made again', () => {
    const news = new ValueNews(0n);
    expect(tell(news, [life(1)], [mistake(life(1))])).toEqual(['1 opened', '1 closed', '1 used after its close 1']);
    expect(tell(news, [life(1)], [mistake(life(1))])).toEqual([]);
    expect(tell(news, [life(1)], [mistake(life(1), { count: 3 })])).toEqual(['1 used after its close 3']);
  });

  it('says how many lives passed between two looks', () => {
    const news = new ValueNews(0n);
    tell(news, [life(1)]);
    expect(tell(news, [life(9), life(8)])).toEqual(['8 opened after 6', '8 closed', '9 opened', '9 closed']);
  });

  it('begins behind the life that was there before', () => {
    expect(tell(new ValueNews(4n), [life(5), life(4, { closed: undefined })])).toEqual(['5 opened', '5 closed']);
  });
});
