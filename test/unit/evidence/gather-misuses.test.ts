import { describe, expect, it } from 'vitest';
import { analyze } from '../../../src/analyze/index.ts';
import type { LedgerLife, LedgerMisuse } from '../../../src/call-ledger.ts';
import type { TableEntry } from '../../../src/evidence/sources.ts';
import { entry, gatherFrom, stacks } from './gathered.ts';
import { calledBy, openLife, SYSTEM } from './told-ledger.ts';

describe('a call that was refused for the type of its object', () => {
  const unseen = openLife(1, 'Unknown', { isOpen: false, generation: 0n, opened: undefined });
  const bornWith = (type: string) => openLife(0, type, { opened: { ...calledBy(0), call: undefined } });
  it.each<{
    readonly title: string;
    readonly life: LedgerLife;
    readonly worksOn: 'any' | readonly string[];
    readonly table?: readonly TableEntry[];
    readonly type: string | undefined;
  }>([
    { title: 'is kept where the type is another one', life: openLife(1), worksOn: ['Mutant'], type: 'Event' },
    { title: 'is left out where the type fits', life: openLife(1, 'File'), worksOn: ['File'], type: undefined },
    { title: 'is left out where a socket is a file', life: openLife(1, 'Socket'), worksOn: ['File'], type: undefined },
    { title: 'is left out where every type fits', life: openLife(1), worksOn: 'any', type: undefined },
    { title: 'is left out for a standard handle', life: bornWith('File'), worksOn: ['File'], type: undefined },
    {
      title: 'is left out where the type in the table fits',
      life: unseen,
      worksOn: ['File'],
      table: [entry(4, 'File')],
      type: undefined,
    },
    {
      title: 'is kept with the type in the table',
      life: unseen,
      worksOn: ['Event'],
      table: [entry(4, 'File')],
      type: 'File',
    },
    { title: 'is kept where no type is known', life: unseen, worksOn: ['File'], type: 'Unknown' },
  ])('$title', async ({ life, worksOn, table, type }) => {
    const { misuses } = await gatherFrom(
      {
        stacks,
        lives: life.generation === 0n ? {} : { 4: life },
        misuses: [
          {
            kind: 'use',
            status: 0xc000_0024,
            count: 1,
            values: [4n],
            offending: calledBy(3, 'NtQueryInformationFile'),
            worksOn,
            life,
          },
        ],
      },
      { table: table ?? [] },
    );
    expect(misuses.map(({ object }) => object?.type ?? 'Unknown')).toEqual(type === undefined ? [] : [type]);
  });
});

describe('the object in the table', () => {
  const neverOpen = openLife(0, 'Unknown', { isOpen: false, generation: 0n, opened: undefined });
  const closedUnseen = { ...neverOpen, generation: 1n, closed: calledBy(2, 'NtClose') };
  const refused = (kind: 'close' | 'use', life: LedgerLife): LedgerMisuse => ({
    kind,
    status: 0xc000_0008,
    count: 1,
    values: [0x40n],
    offending: calledBy(3, kind === 'close' ? 'NtClose' : 'NtReadFile'),
    worksOn: [],
    life,
  });

  it.each<[what: string, misuses: readonly LedgerMisuse[], types: readonly (string | undefined)[]]>([
    ['is of one life', [refused('use', neverOpen), refused('use', closedUnseen)], [undefined, 'Event']],
    ['is of one life, in any order', [refused('use', closedUnseen), refused('use', neverOpen)], ['Event', undefined]],
    ['was not there when a close was refused', [refused('close', closedUnseen)], [undefined]],
  ])('%s', async (_what, misuses, types) => {
    const gathered = await gatherFrom({ stacks, lives: { 64: closedUnseen }, misuses }, { table: [entry(0x40)] });
    expect(gathered.misuses.map(({ object }) => object?.type)).toEqual(types);
    expect(gathered.misuses.map(({ openedUnseen }) => openedUnseen)).toEqual(types.map((type) => type && true));
  });

  it('makes no double close of a close that was refused before it was opened out of sight', async () => {
    const misuses = [refused('close', neverOpen), refused('use', closedUnseen)];
    const { evidence } = await gatherFrom({ stacks, lives: { 64: closedUnseen }, misuses }, { table: [entry(0x40)] });
    expect(analyze(evidence).map(({ rule, level }) => [rule, level])).toContainEqual(['invalid-close', 'warning']);
    expect(analyze(evidence).map(({ rule }) => rule)).not.toContain('double-close');
  });
});

describe('a misuse', () => {
  const lifeBefore = (stackId: number, type = 'Event') =>
    openLife(stackId, type, { isOpen: false, closed: calledBy(2, 'NtClose') });
  const refused = (change: Partial<LedgerMisuse> = {}): LedgerMisuse => ({
    kind: 'use',
    status: 0xc000_0008,
    count: 1,
    values: [4n],
    offending: calledBy(3, 'NtSetEvent'),
    worksOn: ['Event'],
    life: openLife(1, 'Event', { isOpen: false, generation: 3n, closed: calledBy(2, 'NtClose') }),
    earlierLives: [lifeBefore(4, 'File')],
    ...change,
  });
  const told = {
    stacks: { ...stacks, 4: [SYSTEM, 0x40n] },
    closedBy: { 4: 2 },
  };

  it('holds the lives that the value had before, and then all closings are there to compare', async () => {
    const { misuses, closings } = await gatherFrom({ ...told, misuses: [refused()] });
    expect(misuses[0]!.earlierLives).toMatchObject([
      {
        object: { type: 'File' },
        opened: [{ function: 'f7000' }, { function: 'f40' }],
        closed: [{ function: 'f11' }, {}],
      },
    ]);
    expect(closings).toMatchObject([{ opened: [{ function: 'f7000' }, {}], closed: [{ function: 'f11' }, {}] }]);
  });

  it.each<[what: string, change: Partial<LedgerMisuse>]>([
    ['had no other', { earlierLives: [] }],
    ['had others of the same opening alone', { earlierLives: [lifeBefore(1)] }],
    ['was open', { life: openLife(1) }],
    ['was quarantined', { victim: { objectType: 'File', stackId: 4 } }],
    ['was closed by the wrong function', { kind: 'closed-as-handle' }],
  ])('of a value that %s leaves lives and closings out', async (_what, change) => {
    const evidence = await gatherFrom({ ...told, misuses: [refused(change)] });
    expect(evidence.misuses[0]).not.toHaveProperty('earlierLives');
    expect(evidence).not.toHaveProperty('closings');
  });

  it('is not compared with more closings than can be looked at while the target waits', async () => {
    const ids = Array.from({ length: 5000 }, (_, index) => index + 10);
    const many = {
      stacks: { ...told.stacks, ...Object.fromEntries(ids.map((id) => [id, [BigInt(id)]])) },
      closedBy: Object.fromEntries(ids.map((id) => [id, 2])),
    };
    expect(await gatherFrom({ ...many, misuses: [refused()] })).not.toHaveProperty('closings');
  });

  it('holds the life before it and the victim after it, with their stacks', async () => {
    const life = openLife(1, 'Event', { isOpen: false, closed: calledBy(2, 'NtClose') });
    const { misuses } = await gatherFrom({
      stacks: { ...stacks, 4: [SYSTEM, 0x40n] },
      misuses: [
        {
          kind: 'close',
          status: 0xc000_0008,
          count: 3,
          values: [4n],
          offending: calledBy(3, 'NtClose'),
          worksOn: [],
          life,
          victim: { objectType: 'File', stackId: 4 },
        },
      ],
    });
    expect(misuses).toHaveLength(1);
    const [misuse] = misuses;
    expect(misuse).toMatchObject({ kind: 'close', count: 3, object: { type: 'Event' } });
    expect([misuse!.opened, misuse!.closed, misuse!.offending].map((call) => call?.stack[0]?.function)).toEqual([
      'f10',
      'f11',
      'f12',
    ]);
    expect(misuse!.victim!.opened.map(({ function: name }) => name)).toEqual(['f7000', 'f40']);
  });
});
