import { describe, expect, it } from 'vitest';
import { gather } from '../../../src/evidence/gather.ts';
import { type LedgerSweep, siteKey } from '../../../src/call-ledger.ts';
import type { CountsAtMarks } from '../../../src/evidence/sources.ts';
import { entry, gatherFrom, stacks } from './gathered.ts';
import { calledBy, openLife, plainSymbols, SYSTEM, ToldLedger, type Told } from './told-ledger.ts';

describe('open handles', () => {
  it('of one stack, call and type are one site', async () => {
    const { open, openHandles } = await gatherFrom(
      { stacks, lives: { 4: openLife(1), 8: openLife(1), 12: openLife(2), 16: openLife(1, 'File') } },
      { table: [entry(4), entry(8), entry(12), entry(16, 'File')] },
    );
    expect(openHandles).toBe(4);
    expect(open.map(({ object, count, examples }) => [object.type, count, examples.map(({ value }) => value)])).toEqual(
      [
        ['Event', 2, [4n, 8n]],
        ['Event', 1, [12n]],
        ['File', 1, [16n]],
      ],
    );
    expect(open[0]!.opened!.stack.map(({ function: name }) => name)).toEqual(['f10', 'f20']);
  });

  it('are a site apart when they were given to a wrong closer, or are beneath a search that was', async () => {
    const given = openLife(1, 'Event', { givenToWrongCloser: true });
    const { open } = await gatherFrom(
      {
        stacks: { ...stacks, 4: [SYSTEM, 0x30n], 5: [0x30n] },
        lives: { 4: openLife(1), 8: given, 12: given, 16: openLife(4, 'File'), 20: openLife(4, 'File') },
        givenSearches: [5],
      },
      { table: [entry(4), entry(8), entry(12), entry(16, 'File'), entry(20, 'File')] },
    );
    expect(open.map(({ object, count, givenToWrongCloser }) => [object.type, count, givenToWrongCloser])).toEqual([
      ['Event', 1, undefined],
      ['Event', 2, true],
      ['File', 1, true],
      ['File', 1, undefined],
    ]);
  });

  it('are named in one round, at most ten of a site', async () => {
    const values = Array.from({ length: 30 }, (_, index) => 4 * (index + 1));
    const { asked, open } = await gatherFrom(
      { stacks, lives: Object.fromEntries(values.map((value) => [value, openLife(1)])) },
      { table: values.map((value) => entry(value)), descriptions: { 4: { object: { type: 'Event', name: 'go' } } } },
    );
    expect(asked).toHaveLength(10);
    expect(open[0]!.count).toBe(30);
    expect(open[0]!.examples[0]!.object).toEqual({ type: 'Event', name: 'go' });
  });

  it.each<[title: string, told: Told, unseen: number, type?: string]>([
    ['that the recorder never saw opened count as unseen', {}, 1],
    ['of a type that the system gives every process count as nothing', {}, 0, 'EtwRegistration'],
    ['of the event for its windows count as nothing', { hasWindows: true }, 0],
    ['that the recorder saw closed count as unseen', { lives: { 4: openLife(1, 'Event', { isOpen: false }) } }, 1],
    [
      'that were there before recording began count as neither',
      { lives: { 4: openLife(1, 'Event', { opened: { ...calledBy(1), call: undefined } }) } },
      0,
    ],
  ])('%s', async (_, told, unseen, type) => {
    const { open, unseenOpens } = await gatherFrom({ stacks, ...told }, { table: [entry(4, type)] });
    expect(open).toEqual([]);
    expect(unseenOpens).toBe(unseen);
  });

  it('that were opened as sockets stay sockets, which the kernel calls files', async () => {
    const { open } = await gatherFrom(
      { stacks, lives: { 4: openLife(1, 'Socket') } },
      { table: [entry(4, 'File')], descriptions: { 4: { object: { type: 'File' } } } },
    );
    expect(open[0]!.object).toEqual({ type: 'Socket' });
  });

  it('say in which state all sockets of a site are', async () => {
    const of = async (...states: readonly ('unbound' | 'connected')[]) => {
      const values = states.map((_, index) => 4 * (index + 1));
      const { open } = await gatherFrom(
        { stacks, lives: Object.fromEntries(values.map((value) => [value, openLife(1, 'Socket')])) },
        {
          table: values.map((value) => entry(value, 'File')),
          descriptions: Object.fromEntries(
            states.map((state, index) => [values[index]!, { object: { type: 'Socket', socket: { state } } }]),
          ),
        },
      );
      return open[0]!.object;
    };
    expect(await of('unbound', 'unbound')).toEqual({ type: 'Socket', socket: { state: 'unbound' } });
    expect(await of('unbound', 'connected')).toEqual({ type: 'Socket' });
  });

  it.each<[title: string, endedTime: bigint, exitingTime: bigint | undefined, endedCount: number]>([
    ['counts as ended when it ended before the exit began', 5n, 9n, 1],
    ['does not count as ended when the exit ended it', 9n, 9n, 0],
    ['counts as ended when there was no orderly exit', 9n, undefined, 1],
  ])('a thread %s', async (_, endedTime, exitingTime, endedCount) => {
    const { open } = await gatherFrom(
      { stacks, lives: { 4: openLife(1, 'Thread') }, ...(exitingTime === undefined ? {} : { exitingTime }) },
      {
        table: [entry(4, 'Thread')],
        descriptions: { 4: { object: { type: 'Thread' }, ended: true, endedTime } },
      },
    );
    expect(open[0]!.endedCount).toBe(endedCount);
  });

  it('say by which runtime object the program knows them, and of which kind all are', async () => {
    const { open } = await gatherFrom(
      {
        stacks,
        lives: { 4: openLife(1, 'File'), 8: openLife(1, 'File'), 12: openLife(2, 'File') },
        wrappers: {
          4: { type: 'FILE', value: 1n },
          8: { type: 'FILE', value: 2n },
          12: { type: 'Descriptor', value: 3n },
        },
      },
      { table: [entry(4, 'File'), entry(8, 'File'), entry(12, 'File')] },
    );
    expect(open.map(({ object }) => object.wrapper)).toEqual([{ type: 'FILE' }, { type: 'Descriptor', value: 3n }]);
  });

  it('say where their siblings are closed, and else where the same instruction’s are', async () => {
    const { open } = await gatherFrom(
      {
        stacks: { 1: [0x10n, 0x20n], 2: [0x10n, 0x21n], 3: [0x30n], 4: [0x31n] },
        lives: { 4: openLife(1), 8: openLife(2) },
        closedBy: { 2: 3, 4: 3 },
      },
      { table: [entry(4), entry(8)] },
    );
    const name = (stack: readonly { readonly function?: string }[] | undefined) => stack?.[0]?.function;
    expect(open.map(({ siblingsClosedAt }) => name(siblingsClosedAt))).toEqual([undefined, 'f30']);
    expect(open[0]!.closedElsewhere!.map(({ opened, closed }) => [name(opened), name(closed)])).toEqual([
      ['f10', 'f30'],
    ]);
    expect(open[1]!.closedElsewhere).toBeUndefined();
  });
});

describe('handles that were closed while the process exited', () => {
  const closedFrom = (stackId: number) => openLife(1, 'File', { isOpen: false, closed: calledBy(stackId, 'NtClose') });

  async function gatherClosed(names: readonly string[], lives: Told['lives'] & {}) {
    const symbols = {
      ...plainSymbols,
      resolveStack: () =>
        names.map((each) => {
          const [owner, name = ''] = each.split(' ');
          return { module: 'm', function: name, offset: 0, ...(owner === 'system' ? { system: true as const } : {}) };
        }),
    };
    const closedWhileExiting = Object.keys(lives).map(BigInt);
    const ledger = new ToldLedger({ stacks: { 1: [1n], 9: [9n] }, lives, closedWhileExiting });
    const { evidence } = await gather([], { ledger, symbols, startTime: 0n, hasWindows: false }, async () => new Map());
    return evidence.open;
  }
  const byRuntime = ['system close', 'system LdrShutdownProcess', 'program main'];

  it.each<[title: string, names: readonly string[], isLeft: boolean]>([
    ['by the runtime are left to it', byRuntime, true],
    ['by a destructor of the program are not', ['system close', 'program ~Log', 'system LdrShutdownProcess'], false],
    ['with no exit on the stack are not', ['system close', 'program main'], false],
  ])('%s', async (_, names, isLeft) => {
    const open = await gatherClosed(names, { 4: closedFrom(9) });
    expect(open.map(({ closedAtExit }) => closedAtExit)).toEqual(isLeft ? [true] : []);
  });

  it('are sites by call, type and wrong closer, also where no stack was kept', async () => {
    const closed = { isOpen: false, closed: calledBy(9, 'NtClose') };
    const keyOpened = { ...closed, opened: calledBy(0, 'NtCreateKey') };
    const open = await gatherClosed(byRuntime, {
      4: openLife(0, 'Event', closed),
      8: openLife(0, 'File', closed),
      12: openLife(0, 'Key', closed),
      16: openLife(0, 'Key', keyOpened),
      20: openLife(0, 'Key', { ...keyOpened, givenToWrongCloser: true }),
    });
    expect(open.map(({ object, count, givenToWrongCloser }) => [object.type, count, givenToWrongCloser])).toEqual([
      ['Event', 1, undefined],
      ['File', 1, undefined],
      ['Key', 1, undefined],
      ['Key', 1, undefined],
      ['Key', 1, true],
    ]);
  });
});

describe('objects that are open themselves', () => {
  it('are sites like those of handles, and are not looked at', async () => {
    const life = openLife(1, 'PseudoConsole');
    const objects = [0x34_6060n, 0x34_7060n].map((value) => ({ value, life }));
    const { open, asked, openHandles } = await gatherFrom({ stacks, closedBy: { 1: 3 }, objects });
    expect(open).toMatchObject([
      { object: { type: 'PseudoConsole' }, count: 2, examples: [{ value: 0x34_6060n }, { value: 0x34_7060n }] },
    ]);
    expect(open[0]!.siblingsClosedAt?.map(({ function: name }) => name)).toEqual(['f12', 'f20']);
    expect(asked).toEqual([]);
    expect(openHandles).toBe(0);
  });
});

describe('handles that were left for a function to close', () => {
  const swept = { count: 9, values: [4n, 8n], life: openLife(1, 'Socket'), swept: calledBy(2, 'f7001') };
  const gatherSwept = async (stack: readonly bigint[], change: Partial<LedgerSweep> = {}) =>
    gatherFrom({ stacks: { ...stacks, 2: stack }, closedBy: { 1: 3 }, sweeps: [{ ...swept, ...change }] });

  it('are a site of their own, with the stack that closes others, and are not looked at', async () => {
    const { open, asked } = await gatherSwept([0x7000n, 0x7001n, 0x20n]);
    expect(open).toMatchObject([
      { object: { type: 'Socket' }, count: 9, sweptBy: 'f7001', examples: [{ value: 4n }, { value: 8n }] },
    ]);
    expect(open[0]!.siblingsClosedAt?.map(({ function: name }) => name)).toEqual(['f12', 'f20']);
    expect(asked).toEqual([]);
  });

  it('know the object that stood for the first of them', async () => {
    const wrapper = { type: 'FILE', value: 0x7f0n } as const;
    const { open } = await gatherSwept([0x7001n, 0x20n], { wrapper });
    expect(open[0]!.object.wrapper).toEqual({ type: 'FILE' });
    expect(open[0]!.examples.map(({ object }) => object.wrapper)).toEqual([wrapper, { type: 'FILE' }]);
  });

  it('are none where a callback of the program closed them in that function', async () => {
    expect((await gatherSwept([0x7000n, 0x20n, 0x7001n, 0x20n])).open).toEqual([]);
  });

  it('are left out when their opening was not seen', async () => {
    const life = openLife(1, 'Socket', { opened: undefined });
    expect((await gatherSwept([0x7001n, 0x20n], { life })).open).toEqual([]);
  });
});

describe('what children inherited', () => {
  const inherited = { count: 2, values: [4n, 8n], life: openLife(1), started: calledBy(2, 'NtCreateUserProcess', 10n) };
  const opened = (time: bigint) => openLife(1, 'Event', { opened: calledBy(1, 'NtCreateEvent', time) });

  it('names the handles that are open still, and only those that were open when it happened', async () => {
    const { inheritedByChildren, asked } = await gatherFrom(
      { stacks, lives: { 4: opened(1n), 8: opened(11n) }, inheritances: [{ ...inherited, asDescriptor: false }] },
      {
        table: [entry(4), entry(8)],
        descriptions: { 4: { object: { type: 'Event', name: 'a' } }, 8: { object: { type: 'Event', name: 'b' } } },
      },
    );
    expect(inheritedByChildren![0]!.handles.map(({ object }) => object.name)).toEqual(['a', undefined]);
    expect(inheritedByChildren![0]!.asDescriptor).toBeUndefined();
    expect(asked).toContain(4n);
  });

  it('is left out when the opening was not seen', async () => {
    const life = openLife(1, 'Event', { opened: undefined });
    const told = { inheritances: [{ ...inherited, life, asDescriptor: true }] };
    expect((await gatherFrom(told)).inheritedByChildren).toEqual([]);
  });
});

describe('sites at marks', () => {
  it('tell their counts, those that are gone by the end included', async () => {
    const marks = [1, 2].map((timeMs) => ({ timeMs, iterations: 1 }));
    const sites = new Map(
      [1, 2].map((id) => [
        siteKey(calledBy(id), 'Event'),
        { opened: calledBy(id), objectType: 'Event', counts: [id, 3 * id] },
      ]),
    );
    const markCounts: CountsAtMarks = {
      marks,
      sites,
      countsOf: (keys) => keys.flatMap((key) => sites.get(key)?.counts ?? []),
    };
    const { open } = await gatherFrom({ stacks, lives: { 4: openLife(1) } }, { table: [entry(4)], markCounts });
    expect(open.map(({ countsAtMarks, closedAfterMarks, count }) => [countsAtMarks, closedAfterMarks, count])).toEqual([
      [[1, 3], undefined, 1],
      [[2, 6], true, 6],
    ]);
  });
});

describe('siblings', () => {
  it('are of the same type, although one call opened both', async () => {
    const { open } = await gatherFrom(
      {
        // The process and the thread of one NtCreateUserProcess, and a thread that another caller closed.
        stacks: { 1: [0x10n, 0x20n], 2: [0x10n, 0x20n], 3: [0x30n], 4: [0x10n, 0x21n] },
        lives: { 4: openLife(1, 'Process') },
        closedBy: { 2: 3, 4: 3 },
        openedTypes: { 1: 'Process', 2: 'Thread', 4: 'Thread' },
      },
      { table: [entry(4, 'Process')] },
    );
    expect(open[0]).not.toHaveProperty('siblingsClosedAt');
    expect(open[0]).not.toHaveProperty('closedElsewhere');
  });

  it('are not known of handles whose type the recorder did not know', async () => {
    const told = { stacks: { 1: [0x10n], 2: [0x10n], 3: [0x30n] }, closedBy: { 1: 3, 2: 3 } };
    const { open } = await gatherFrom(
      { ...told, lives: { 4: openLife(1, 'Unknown') }, openedTypes: { 1: 'Unknown', 2: 'Unknown' } },
      { table: [entry(4, 'Event')] },
    );
    expect(open[0]).not.toHaveProperty('siblingsClosedAt');
    expect(open[0]).not.toHaveProperty('closedElsewhere');
  });
});
