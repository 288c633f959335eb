import { describe, expect, it } from 'vitest';

import { CodeSymbols } from '../../src/symbols/code-symbols.ts';

function symbolsOf(entries: readonly (readonly [rva: number, name: string])[]): { symbols: CodeSymbols; read: string[] } {
  const read: string[] = [];
  const nameAt = (place: number): string => {
    const name = entries[place]![1];
    read.push(name);
    return name;
  };
  const symbols = new CodeSymbols(nameAt, (name, known) => name < known);
  entries.forEach(([rva], place) => symbols.add(rva, place));
  return { symbols, read };
}

describe('CodeSymbols', () => {
  it.each([
    [0x0fff, undefined],
    [0x1000, { rva: 0x1000, name: 'first' }],
    [0x1fff, { rva: 0x1000, name: 'first' }],
    [0x2000, { rva: 0x2000, name: 'second' }],
    [0xffff_ffff, { rva: 0xffff_fffe, name: 'last' }],
  ])('finds the last symbol at or below 0x%x, in whatever order they were noted', (rva, found) => {
    const { symbols } = symbolsOf([[0x2000, 'second'], [0xffff_fffe, 'last'], [0x1000, 'first']]); // prettier-ignore
    expect(symbols.atOrBelow(rva)).toEqual(found);
  });

  it('shows the best of several names of one address', () => {
    const { symbols } = symbolsOf([[0x1000, 'b'], [0x1000, 'a'], [0x1000, 'c']]); // prettier-ignore
    expect(symbols.atOrBelow(0x1010)).toEqual({ rva: 0x1000, name: 'a' });
  });

  it('reads no other names than those it is asked for', () => {
    const { symbols, read } = symbolsOf([[0x1000, 'a'], [0x2000, 'b'], [0x3000, 'c']]); // prettier-ignore
    symbols.atOrBelow(0x2010);
    expect(read).toEqual(['b']);
  });

  it('takes a symbol after it was asked', () => {
    const { symbols } = symbolsOf([[0x1000, 'a'], [0x2000, 'b']]); // prettier-ignore
    symbols.atOrBelow(0x2000);
    symbols.add(0x1800, 0);
    expect(symbols.atOrBelow(0x1900)).toEqual({ rva: 0x1800, name: 'a' });
  });
});
