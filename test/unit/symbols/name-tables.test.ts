import { describe, expect, it } from 'vitest';

import {
  COFF_SYMBOL_SIZE_BYTES,
  coffSymbols,
  type ExportTables,
  exportedSymbols,
  exportsName,
} from '../../../src/symbols/name-tables.ts';

const FUNCTION = 0x20;

interface CoffRow {
  readonly name: string | number;
  readonly value: number;
  readonly section?: number;
  readonly type?: number;
  readonly auxiliary?: number;
}

/** At an odd address, as tables in files are. */
function coffTable(rows: readonly CoffRow[]): Buffer {
  const size = rows.reduce((sum, { auxiliary = 0 }) => sum + (1 + auxiliary) * COFF_SYMBOL_SIZE_BYTES, 0);
  const table = Buffer.alloc(size + 1, 0xff).subarray(1);
  let at = 0;
  for (const { name, value, section = 1, type = FUNCTION, auxiliary = 0 } of rows) {
    table.fill(0, at, at + 8);
    if (typeof name === 'number') table.writeUInt32LE(name, at + 4);
    else table.write(name, at, 8, 'latin1');
    table.writeUInt32LE(value, at + 8);
    table.writeInt16LE(section, at + 12);
    table.writeUInt16LE(type, at + 14);
    table[at + 16] = 2;
    table[at + 17] = auxiliary;
    at += (1 + auxiliary) * COFF_SYMBOL_SIZE_BYTES;
  }
  return table;
}

describe('coffSymbols', () => {
  const strings = Buffer.from('\x20\0\0\0a_name_of_more_than_eight_bytes\0');
  const codeSections = [0x1000, undefined, 0x8000];

  it.each<[sentence: string, row: CoffRow, expected: unknown]>([
    ['a short name', { name: 'main', value: 0x10 }, { rva: 0x1010, name: 'main' }],
    ['a name of eight bytes, which nothing ends', { name: 'mainmain', value: 0x10 }, { rva: 0x1010, name: 'mainmain' }],
    ['a name in the string table', { name: 4, value: 0x10 }, { rva: 0x1010, name: 'a_name_of_more_than_eight_bytes' }],
    ['a name that begins with a zero', { name: '\0abc', value: 0x10 }, undefined],
    ['a name beyond the string table', { name: 400, value: 0x10 }, undefined],
    ['an empty name', { name: 35, value: 0x10 }, undefined],
    ['a function of another section', { name: 'main', value: 0x10, section: 3 }, { rva: 0x8010, name: 'main' }],
    ['a function of a section that holds no code', { name: 'main', value: 0x10, section: 2 }, undefined],
    ['a function of a section that is not there', { name: 'main', value: 0x10, section: 4 }, undefined],
    ['an absolute symbol', { name: 'main', value: 0x10, section: -1 }, undefined],
    ['no function', { name: 'data', value: 0x10, type: 0 }, undefined],
    ['a value beyond every image', { name: 'main', value: 0xffff_ffff }, undefined],
  ])('knows %s', (_sentence, row, expected) => {
    expect(coffSymbols(coffTable([row]), strings, codeSections).atOrBelow(0xffff_ffff)).toEqual(expected);
  });

  it('takes what belongs to a symbol for no symbol', () => {
    const table = coffTable([
      { name: 'first', value: 0x10, auxiliary: 2 },
      { name: 'second', value: 0x20, auxiliary: 1 },
      { name: 'third', value: 0x30 },
    ]);
    const symbols = coffSymbols(table, strings, codeSections);
    expect([0x1010, 0x1020, 0x1030, 0xffff_ffff].map((rva) => symbols.atOrBelow(rva)?.name)).toEqual([
      'first',
      'second',
      'third',
      'third',
    ]);
  });

  it('reads no more rows than there are, whatever belongs to the last', () => {
    const table = coffTable([
      { name: 'first', value: 0x10 },
      { name: 'second', value: 0x20 },
    ]);
    table[COFF_SYMBOL_SIZE_BYTES + 17] = 200;
    expect(coffSymbols(table, strings, codeSections).atOrBelow(0xffff_ffff)?.name).toBe('second');
  });
});

const directoryRva = 0x5000;

/** @param entries each name, and the number of its function */
function exportTables(
  functions: readonly number[],
  entries: readonly (readonly [name: string, ordinal: number])[],
): ExportTables {
  const header = Buffer.alloc(40);
  const offsets: number[] = [];
  let texts = header;
  for (const [name] of entries) {
    offsets.push(directoryRva + texts.length);
    texts = Buffer.concat([texts, Buffer.from(`${name}\0`)]);
  }
  const tables = {
    functions: Buffer.from(Uint32Array.from(functions).buffer),
    names: Buffer.from(Uint32Array.from(offsets).buffer),
    ordinals: Buffer.from(Uint16Array.from(entries, ([, ordinal]) => ordinal).buffer),
  };
  return { directory: texts, directoryRva, ...tables };
}

describe('exportsName', () => {
  const names = ['CLRJitAttachState', 'DotNetRuntimeInfo', 'MetaDataGetDispenser', 'g_dacTable'];
  const tables = exportTables(
    names.map(() => 0x3000),
    names.map((name, index) => [name, index]),
  );

  it.each(names)('finds %s, although it is data', (name) => {
    expect(exportsName(tables, name)).toBe(true);
  });

  it.each(['', 'DotNetRuntime', 'DotNetRuntimeInfo2', 'dotNetRuntimeInfo', 'A', 'z'])('does not find “%s”', (name) => {
    expect(exportsName(tables, name)).toBe(false);
  });

  it('finds nothing in no names, and in names that lie nowhere', () => {
    expect(exportsName(exportTables([], []), 'a')).toBe(false);
    const damaged = { ...tables, names: Buffer.from(Uint32Array.of(1, 0xffff_fff0, 7).buffer) };
    expect(exportsName(damaged, 'DotNetRuntimeInfo')).toBe(false);
  });
});

describe('exportedSymbols', () => {
  const isCode = (rva: number): boolean => (rva >= 0x1000 && rva < 0x2000) || rva >= directoryRva;

  function symbolsOf(...parts: Parameters<typeof exportTables>): ReturnType<typeof exportedSymbols> {
    return exportedSymbols(exportTables(...parts), isCode);
  }

  it('knows the functions by the numbers of their names', () => {
    const symbols = symbolsOf(
      [0x1300, 0x1100, 0x1200],
      [
        ['a', 2],
        ['b', 0],
        ['c', 1],
      ],
    );
    expect([0x10ff, 0x1100, 0x1200, 0x1fff].map((rva) => symbols.atOrBelow(rva)?.name)).toEqual([
      undefined,
      'c',
      'a',
      'b',
    ]);
  });

  it('leaves out what is no function in code: data, forwarders, numbers of no function and names of nothing', () => {
    const symbols = symbolsOf(
      [0x1100, 0x3000, directoryRva + 41],
      [
        ['function', 0],
        ['data', 1],
        ['forwarder', 2],
        ['beyond', 7],
        ['', 0],
      ],
    );
    expect(symbols.atOrBelow(0xffff_ffff)).toEqual({ rva: 0x1100, name: 'function' });
  });
});
