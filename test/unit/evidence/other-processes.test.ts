import { describe, expect, it } from 'vitest';

import type { LedgerMisuse } from '../../../src/call-ledger.ts';
import type { CallOfOther, KeptByChild, OtherProcesses } from '../../../src/evidence/sources.ts';
import type { Frame } from '../../../src/model.ts';
import { entry, gatherFrom, stacks } from './gathered.ts';
import { calledBy, openLife } from './told-ledger.ts';

const by = { pid: 40, image: 'C:\\server.exe' };
const giveFrame: Frame = { module: 'server.exe', function: 'give', offset: 1 };

function call(change: Partial<CallOfOther> = {}): CallOfOther {
  return { call: 'NtDuplicateObject', threadId: 9, stack: [giveFrame], by, time: 100n, objectType: 'Event', ...change };
}

function others(change: Partial<OtherProcesses> = {}): OtherProcesses {
  return { opened: new Map(), closed: new Map(), kept: [], ...change };
}

describe('a handle that another process put there', () => {
  const given = others({
    opened: new Map([
      [4n, call()],
      [8n, call({ time: 200n })],
    ]),
  });

  it('is of a site of that process, with its stack', async () => {
    const { open, unseenOpens } = await gatherFrom({}, { table: [entry(4), entry(8), entry(12)], others: given });
    expect(open).toMatchObject([
      {
        count: 2,
        object: { type: 'Event' },
        openedBy: by,
        opened: { call: 'NtDuplicateObject', stack: [giveFrame] },
        oldestTimeMs: 0.01,
        examples: [{ value: 4n }, { value: 8n }],
      },
    ]);
    expect(unseenOpens).toBe(1);
  });

  it('is the target’s own where the target opened the value', async () => {
    const { open } = await gatherFrom({ stacks, lives: { 4: openLife(1) } }, { table: [entry(4)], others: given });
    expect(open).toHaveLength(1);
    expect(open[0]).not.toHaveProperty('openedBy');
  });

  it('is gone once the target has closed it, and what has the value now is unknown', async () => {
    const closed = openLife(0, 'Event', { isOpen: false, opened: undefined, closed: calledBy(2, 'NtClose', 150n) });
    const told = { stacks, lives: { 4: closed } };
    const { open, unseenOpens } = await gatherFrom(told, { table: [entry(4)], others: given });
    expect(open).toEqual([]);
    expect(unseenOpens).toBe(1);
  });

  it('has siblings that the target closed, as long as their values were not used again', async () => {
    const closed = openLife(0, 'Event', { isOpen: false, opened: undefined, closed: calledBy(2, 'NtClose', 150n) });
    const told = { stacks, lives: { 4: closed } };
    const { open } = await gatherFrom(told, { table: [entry(8)], others: given });
    expect(open).toMatchObject([{ count: 1, siblingsClosedAt: [{ function: 'f11' }, {}] }]);
  });

  it('has only siblings from its own place, closed after they were put there', async () => {
    const closedAt = (stackId: number, time: bigint) =>
      openLife(0, 'Event', { isOpen: false, opened: undefined, closed: calledBy(stackId, 'NtClose', time) });
    const from = (name: string) => call({ stack: [{ ...giveFrame, function: name }] });
    const opened = new Map(
      ['late', 'late', 'early', 'early', 'open'].map((name, index) => [BigInt(4 + index * 4), from(name)] as const),
    );
    const told = { stacks, lives: { 8: closedAt(2, 150n), 16: closedAt(3, 50n) } };
    const { open } = await gatherFrom(told, { table: [entry(4), entry(12), entry(20)], others: others({ opened }) });
    const sites = open.map(({ opened: site, siblingsClosedAt }) => [
      site?.stack[0]?.function,
      siblingsClosedAt?.[0]?.function,
    ]);
    expect(sites).toEqual([
      ['late', 'f11'],
      ['early', undefined],
      ['open', undefined],
    ]);
  });

  it('has its place spelt once, however many sites and calls there are: the target waits', async () => {
    let spelt = 0;
    const stackOf = (place: number): readonly Frame[] => [
      {
        ...giveFrame,
        get function() {
          spelt++;
          return `give${place}`;
        },
      },
    ];
    const places = Array.from({ length: 20 }, (_, place) => stackOf(place));
    const opened = new Map(
      Array.from({ length: 200 }, (_, index) => [BigInt(4 * index), call({ stack: places[index % 20]! })] as const),
    );
    const table = [...opened.keys()].map((value) => entry(Number(value)));
    const { open } = await gatherFrom({ stacks }, { table, others: others({ opened }) });
    expect(open).toHaveLength(20);
    expect(spelt).toBe(20);
  });
});

describe('a misuse of a handle that another process closed', () => {
  const refused = (time: bigint): LedgerMisuse => ({
    kind: 'close',
    status: 0xc000_0008,
    count: 1,
    values: [4n],
    offending: calledBy(3, 'NtClose', time),
    worksOn: 'any',
    life: openLife(1),
  });
  const taken = others({ closed: new Map([[4n, call()]]) });

  it('has the stack of that close', async () => {
    const { misuses } = await gatherFrom({ stacks, misuses: [refused(200n)] }, { others: taken });
    expect(misuses).toMatchObject([{ closedBy: by, closed: { stack: [giveFrame] }, opened: { stack: [{}, {}] } }]);
  });

  it.each<[what: string, time: bigint, opened: bigint]>([
    ['came after the misuse', 50n, 0n],
    ['was of an earlier handle of the value', 300n, 200n],
  ])('is not explained by a close that %s', async (_what, time, opened) => {
    const misuse = { ...refused(time), life: openLife(1, 'Event', { opened: calledBy(1, 'NtCreateEvent', opened) }) };
    const { misuses } = await gatherFrom({ stacks, misuses: [misuse] }, { others: taken });
    expect(misuses[0]).not.toHaveProperty('closed');
  });
});

describe('an inherited handle that a child kept', () => {
  const kept: KeptByChild = {
    value: 4n,
    object: { type: 'File', name: 'C:\\a.log' },
    child: by,
    closed: calledBy(2, 'NtClose'),
    openedStackId: 1,
    keptMs: 1500,
    untilEnd: true,
  };
  const inheritances = [
    {
      count: 1,
      values: [4n],
      life: openLife(1, 'File'),
      started: calledBy(3, 'NtCreateUserProcess'),
      asDescriptor: false,
    },
  ];

  it('says so, with the stack of the parent’s close', async () => {
    const { inheritedByChildren } = await gatherFrom({ stacks, inheritances }, { others: others({ kept: [kept] }) });
    expect(inheritedByChildren).toMatchObject([
      {
        handles: [{ value: 4n, object: { name: 'C:\\a.log' } }],
        kept: [{ child: by, keptMs: 1500, closed: { stack: [{ function: 'f11' }, {}] } }],
      },
    ]);
  });

  it('is no news of a handle with another opening', async () => {
    const other = others({ kept: [{ ...kept, openedStackId: 2 }] });
    const { inheritedByChildren } = await gatherFrom({ stacks, inheritances }, { others: other });
    expect(inheritedByChildren?.[0]).not.toHaveProperty('kept');
  });
});
