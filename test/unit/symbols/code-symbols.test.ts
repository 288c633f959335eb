import { describe, expect, it } from 'vitest';

import { CodeSymbols, nearer, symbolKey } from '../../../src/symbols/code-symbols.ts';

function symbolsOf(entries: readonly (readonly [rva: number, name: string])[]): {
  symbols: CodeSymbols;
  read: string[];
} {
  const read: string[] = [];
  const nameAt = (row: number): string => {
    const name = entries[row]![1];
    read.push(name);
    return name;
  };
  return {
    symbols: new CodeSymbols(
      entries.map(([rva], row) => symbolKey(rva, row)),
      nameAt,
    ),
    read,
  };
}

describe('CodeSymbols', () => {
  it.each([
    [0x0fff, undefined],
    [0x1000, { rva: 0x1000, name: 'first' }],
    [0x1fff, { rva: 0x1000, name: 'first' }],
    [0x2000, { rva: 0x2000, name: 'second' }],
    [0xffff_ffff, { rva: 0xffff_fffe, name: 'last' }],
  ])('finds the last symbol at or below 0x%x, in whatever order they were noted', (rva, found) => {
    const { symbols } = symbolsOf([
      [0x2000, 'second'],
      [0xffff_fffe, 'last'],
      [0x1000, 'first'],
    ]);
    expect(symbols.atOrBelow(rva)).toEqual(found);
  });

  it('shows the best of several names of one address', () => {
    const { symbols } = symbolsOf([
      [0x1000, 'b'],
      [0x1000, 'a'],
      [0x1000, 'c'],
    ]);
    expect(symbols.atOrBelow(0x1010)).toEqual({ rva: 0x1000, name: 'a' });
  });

  it('reads no other names than those it is asked for', () => {
    const { symbols, read } = symbolsOf([
      [0x1000, 'a'],
      [0x2000, 'b'],
      [0x3000, 'c'],
    ]);
    symbols.atOrBelow(0x2010);
    expect(read).toEqual(['b']);
  });

  it.each([
    ['ZwClose', 'NtClose'],
    ['_o_fopen', 'fopen'],
    ['.text', 'main'],
    ['.text', '_o_main'],
    ['LocalFree', 'GlobalFree'],
  ])('shows %s only where there is no %s', (worse, better) => {
    const { symbols } = symbolsOf([
      [0x1000, better],
      [0x1000, worse],
    ]);
    expect(symbols.atOrBelow(0x1000)?.name).toBe(better);
    expect(nearer({ rva: 1, name: worse }, { rva: 1, name: better }).name).toBe(better);
    expect(nearer({ rva: 1, name: better }, { rva: 1, name: worse }).name).toBe(better);
  });
});

describe('nearer', () => {
  const [low, high] = [
    { rva: 0x1000, name: 'low' },
    { rva: 0x2000, name: 'high' },
  ];
  it.each([
    [low, high, high],
    [high, low, high],
    [undefined, low, low],
    [low, undefined, low],
    [undefined, undefined, undefined],
  ])('of %j and %j is %j', (a, b, expected) => expect(nearer(a, b)).toBe(expected));
});
