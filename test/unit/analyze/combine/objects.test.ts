import { describe, expect, it } from 'vitest';

import { canonicalText, commonObject } from '../../../../src/analyze/grouping.ts';
import type { HandleObject } from '../../../../src/model.ts';

const socket = { protocol: 'TCP', state: 'bound' } as const;
const file = (name?: string): HandleObject => ({ type: 'File', ...(name === undefined ? {} : { name }) });
const stream = (value: bigint): HandleObject => ({ type: 'File', wrapper: { type: 'FILE', value } });
const descriptor: HandleObject = { type: 'File', wrapper: { type: 'Descriptor', value: 3n } };

describe('the object of several handles', () => {
  it.each<[title: string, objects: readonly HandleObject[], common: HandleObject]>([
    ['has the name that all have', [file('a'), file('a')], file('a')],
    ['has no name where two differ', [file('a'), file('a'), file('b')], file()],
    ['has no name where one has none', [file('a'), file()], file()],
    ['has no name where the first has none', [file(), file('a')], file()],
    [
      'has the socket that all have, whatever the order of its parts',
      [
        { type: 'Socket', socket },
        { type: 'Socket', socket: { state: 'bound', protocol: 'TCP' } },
      ],
      { type: 'Socket', socket },
    ],
    [
      'has no socket where two differ',
      [
        { type: 'Socket', socket },
        { type: 'Socket', socket: { ...socket, state: 'listening' } },
      ],
      { type: 'Socket' },
    ],
    ['has the stream that all have', [stream(1n), stream(1n)], stream(1n)],
    [
      'is of streams where all are, but not the same',
      [stream(1n), stream(2n)],
      { type: 'File', wrapper: { type: 'FILE' } },
    ],
    ['is of no stream where one is a descriptor', [stream(1n), descriptor], file()],
    ['is of no stream where one is none', [stream(1n), file()], file()],
    ['is unknown where there is none', [], { type: 'Unknown' }],
  ])('%s', (_title, objects, common) => {
    expect(commonObject(objects)).toEqual(common);
  });
});

describe('the text of a value', () => {
  it('is the same whatever the order of its keys, in lists and objects too', () => {
    expect(canonicalText({ a: 1, b: [{ c: 2n, d: null }] })).toBe(canonicalText({ b: [{ d: null, c: 2n }], a: 1 }));
  });

  it.each<[title: string, one: unknown, other: unknown]>([
    ['a bigint and a number', 1n, 1],
    ['two orders of a list', [1, 2], [2, 1]],
    ['a number and a text', { a: 1 }, { a: '1' }],
    ['null and an object', null, {}],
    ['two bigints', 1n, 2n],
  ])('differs for %s', (_title, one, other) => {
    expect(canonicalText(one)).not.toBe(canonicalText(other));
  });

  it('is empty for nothing', () => {
    expect(canonicalText(undefined)).toBe('');
  });
});
