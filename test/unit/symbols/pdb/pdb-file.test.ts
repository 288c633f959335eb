import { describe, expect, it } from 'vitest';

import { MemoryBudget } from '../../../../src/symbols/memory-budget.ts';
import { PdbFile } from '../../../../src/symbols/pdb/pdb-file.ts';
import { ends } from '../../../hang.ts';
import { randomNumbers, text, u16, u32 } from '../bytes.ts';
import {
  BLOCK_SIZE_BYTES,
  buildPdb,
  container,
  join,
  PDB_ID,
  type PdbParts,
  record,
  SECTION_RVA,
  subsection,
} from './pdb-bytes.ts';

const open = (parts: PdbParts): PdbFile => PdbFile.fromBytes(buildPdb(parts))!;

/** S_GPROC32 with what belongs to it, and its S_END; `at` is where it begins in the stream. */
function procedure(name: string, offset: number, sizeBytes: number, at = 4, ...children: readonly Buffer[]): Buffer {
  const body = join(...children, Buffer.alloc(0));
  const make = (end: number): Buffer =>
    record(
      0x1110,
      u32(0),
      u32(end),
      u32(0),
      u32(sizeBytes),
      u32(0),
      u32(0),
      u32(0),
      u32(offset),
      u16(1),
      [0],
      text(name),
    );
  const end = at + make(0).length + body.length;
  return join(make(end), body, record(6));
}

/** S_INLINESITE with its S_INLINESITE_END; `at` is where it begins in the stream. */
function inlineSite(at: number, inlinee: number, annotations: readonly number[], ...inner: readonly Buffer[]): Buffer {
  const body = join(...inner, Buffer.alloc(0));
  const make = (end: number): Buffer => record(0x114d, u32(0), u32(end), u32(inlinee), annotations);
  const end = at + make(0).length + body.length;
  return join(make(end), body, record(0x114e));
}

/** Where the symbols begin that belong to a function of this name, which is the first of its module. */
const childrenOf = (name: string): number => 4 + procedure(name, 0, 1).length - record(6).length;

/** A table of lines with one block: offsets and lines. */
const lineTable = (offset: number, sizeBytes: number, rows: readonly (readonly [number, number])[], file = 0): Buffer =>
  subsection(
    0xf2,
    ...[u32(offset), u16(1), u16(0), u32(sizeBytes), u32(file), u32(rows.length), u32(12 + rows.length * 8)],
    ...rows.flatMap(([at, line]) => [u32(at), u32(line)]),
  );
/** The files a.c and b.h: their descriptions are at 0 and 8. */
const files = subsection(0xf4, u32(1), [0, 0, 0, 0], u32(5), [0, 0, 0, 0]);
const names = ['a.c', 'b.h'];
const inlineeLines = (...rows: readonly (readonly number[])[]): Buffer =>
  subsection(0xf6, u32(0), ...rows.flat().map(u32));

const at = (offset: number): number => SECTION_RVA + offset;

describe('a PDB', () => {
  it('has the GUID and the age by which an executable file names it', () => {
    expect(open({}).id).toBe(PDB_ID);
    expect(open({ age: 0x1b }).id).toBe(`${PDB_ID.slice(0, -1)}1B`);
  });

  it.each<[what: string, bytes: Buffer]>([
    ['nothing', Buffer.alloc(0)],
    ['another file', Buffer.alloc(5000, 'MZ')],
    ['a container without streams', container([])],
    ['a container of empty streams', container([undefined, Buffer.alloc(0), Buffer.alloc(0), Buffer.alloc(0)])],
    ['blocks of an impossible size', replaceU32(buildPdb({}), 32, 3)],
    ['a directory that is too long', replaceU32(buildPdb({}), 44, 0x7fff_ffff)],
    ['a directory beyond the end', replaceU32(buildPdb({}), 52, 0x00ff_ffff)],
    ['code that was moved after it was linked', buildPdb({ optionalStreams: [0xffff, 0xffff, 0xffff, 5, 0xffff, 8] })],
  ])('is not found in %s', (_, bytes) => {
    expect(PdbFile.fromBytes(bytes)).toBeUndefined();
  });

  it('whose directory finds no room in memory is not read', () => {
    expect(PdbFile.fromBytes(buildPdb({}), new MemoryBudget(100))).toBeUndefined();
  });
});

describe('a function', () => {
  const file = open({
    symbols: [procedure('first', 0x10, 0x20), procedure('second', 0x30, 0x10)],
    codeSizeBytes: 0x38,
  });

  it.each([
    ['before it', 0x0f, undefined],
    ['at its first byte', 0x10, { name: 'first', begin: at(0x10), inlined: [] }],
    ['at its last byte', 0x2f, { name: 'first', begin: at(0x10), inlined: [] }],
    ['at the first byte of the next', 0x30, { name: 'second', begin: at(0x30), inlined: [] }],
    ['behind the code of the module', 0x38, undefined],
  ])('%s', (_, offset, expected) => {
    expect(file.find(at(offset))).toEqual(expected);
  });

  it('outside of all sections is none', () => {
    for (const rva of [0, -1, 2 ** 32, 2 ** 40, Number.NaN]) expect(file.find(rva)).toBeUndefined();
  });

  it('that has a part apart from it is found there, too', () => {
    // S_SEPCODE: parent, end, length, flags, offset, offset of the parent, section, section of the parent
    const apart = record(0x1132, u32(0), u32(0), u32(8), u32(0), u32(0x80), u32(0x10), u16(1), u16(1));
    const parts = open({ symbols: [procedure('whole', 0x10, 0x20), apart] });
    expect(parts.find(at(0x84))).toMatchObject({ name: 'whole', begin: at(0x10) });
    expect(parts.find(at(0x88))).toBeUndefined();
  });

  it('may be a thunk', () => {
    const thunk = record(0x1102, u32(0), u32(0), u32(0), u32(0x40), u16(1), u16(6), [0], text('__imp_load_x'));
    expect(open({ symbols: [thunk] }).find(at(0x45))).toMatchObject({ name: '__imp_load_x' });
  });

  it('in an unnamed namespace is spelled as in DWARF', () => {
    const symbols = [procedure("a::`anonymous namespace'::f", 0, 8), procedure("`anonymous-namespace'::g", 8, 8)];
    const parts = open({ symbols });
    expect([0, 8].map((offset) => parts.find(at(offset))?.name)).toEqual([
      'a::(anonymous namespace)::f',
      '(anonymous namespace)::g',
    ]);
  });

  it('that stands before a damaged symbol is found', () => {
    const parts = open({ symbols: [procedure('good', 0, 8), join(u16(0xfff0), u16(0x1110)), procedure('lost', 8, 8)] });
    expect(parts.find(at(0))?.name).toBe('good');
    expect(parts.find(at(8))).toBeUndefined();
  });
});

describe('lines', () => {
  const symbols = [procedure('f', 0, 0x40)];

  it('are those of the last row at or below an address, and of the last of several at one', () => {
    const rows: [number, number][] = [
      [2, 10],
      [8, 11],
      [8, 12],
      [0x10, 0xfe_efee],
      [0x18, 13],
    ];
    const file = open({ symbols, names, lines: [files, lineTable(0, 0x20, rows)] });
    const found = [0, 2, 7, 8, 0xf, 0x10, 0x18, 0x1f, 0x20].map((offset) => file.lineOf(at(offset))?.line);
    // Code before the first row was inlined at the beginning of the function.
    expect(found).toEqual([10, 10, 10, 12, 12, undefined, 13, 13, undefined]);
    expect(file.find(at(2))?.line).toEqual({ file: 'a.c', line: 10 });
  });

  it('of several files stand in several blocks', () => {
    const block = (fileAt: number, ...rows: readonly (readonly [number, number])[]): Buffer =>
      join(u32(fileAt), u32(rows.length), u32(12 + rows.length * 8), ...rows.flatMap(([a, b]) => [u32(a), u32(b)]));
    const table = subsection(0xf2, u32(0), u16(1), u16(0), u32(0x20), block(0, [0, 1], [8, 3]), block(8, [4, 2]));
    const file = open({ symbols, names, lines: [table, files] });
    expect([0, 4, 8].map((offset) => file.lineOf(at(offset)))).toEqual([
      { file: 'a.c', line: 1 },
      { file: 'b.h', line: 2 },
      { file: 'a.c', line: 3 },
    ]);
  });

  it.each<[what: string, lines: readonly Buffer[]]>([
    ['more rows than bytes', [files, subsection(0xf2, u32(0), u16(1), u16(0), u32(8), u32(0), u32(1 << 30), u32(12))]],
    ['no such file', [files, lineTable(0, 8, [[0, 1]], 400)]],
    ['no files', [lineTable(0, 8, [[0, 1]])]],
    ['an end before the lines', [files, join(u32(0xf2), u32(1000))]],
    ['parts that the linker left out', [files, subsection(0x8000_00f2, u32(0), u16(1), u16(0), u32(8))]],
  ])('with %s are none', (_, lines) => {
    const file = open({ symbols, names, lines });
    expect(file.find(at(0))).toEqual({ name: 'f', begin: at(0), inlined: [] });
  });
});

describe('inlined functions', () => {
  const inner = childrenOf('f');
  /** Ids from 0x1000 on: a text, a function of a scope, a method of a class, a function without a scope. */
  const ids = [
    record(0x1605, u32(0), text("store::`anonymous namespace'")),
    record(0x1601, u32(0x1000), u32(0), text('reopen')),
    record(0x1602, u32(0x1001), u32(0), text('open')),
    record(0x1601, u32(0), u32(0), text('plain')),
    record(0x1602, u32(0x1001), u32(0), text('{ctor}')),
    record(0x1602, u32(0x1001), u32(0), text('{dtor}')),
    record(0x1602, u32(0x7777), u32(0), text('lost')),
  ];
  /** Types from 0x1000 on: another one, a class. */
  const types = [
    record(0x1002, u32(0), u32(0)),
    record(0x1505, u16(0), u16(0), u32(0), u32(0), u32(0), u16(0x8004), u32(70_000), text('store::Box<a::B<int> >')),
  ];

  it('have their namespaces and classes', () => {
    const nameOf = (id: number): string | undefined =>
      open({ symbols: [procedure('f', 0, 8, 4, inlineSite(inner, id, [0x0b, 0x00, 4, 8]))], ids, types }).find(at(0))
        ?.inlined[0]?.name;
    expect([0x1001, 0x1002, 0x1003, 0x1004, 0x1005, 0x1006].map(nameOf)).toEqual([
      'store::(anonymous namespace)::reopen',
      'store::Box<a::B<int> >::open',
      'plain',
      'store::Box<a::B<int> >::Box<a::B<int> >',
      'store::Box<a::B<int> >::~Box<a::B<int> >',
      'lost',
    ]);
    // Numbers that name no function.
    expect([0, 0xfff, 0x1000, 0x1007, 0xffff_ffff].map(nameOf)).toEqual(Array(5).fill(undefined));
  });

  it('have lines, and stand within each other', () => {
    // Code from 2 to 10: lines 20, 21 from 4 on, 19 from 6 on in another file; within it, from 4 to 6, line 31.
    const within = (start: number): Buffer => inlineSite(start, 0x1003, [6, 2, 12, 2, 4]);
    const outerHead = inlineSite(0, 0x1002, [3, 2, 0x0b, 0x22, 5, 8, 0x0b, 0x52, 4, 4]).length - record(0x114e).length;
    const site = inlineSite(inner, 0x1002, [3, 2, 0x0b, 0x22, 5, 8, 0x0b, 0x52, 4, 4], within(inner + outerHead));
    const file = open({
      ...{ symbols: [procedure('f', 0, 0x20, 4, site)], ids, types, names },
      lines: [files, lineTable(0, 0x20, [[0, 5]]), inlineeLines([0x1002, 0, 20], [0x1003, 8, 30])],
    });
    const spell = (offset: number): string => {
      const found = file.find(at(offset))!;
      return [...found.inlined, found]
        .map(({ name, line }) => `${name.replace(/.*::/, '')} ${line?.file}:${line?.line}`)
        .join(' < ');
    };
    expect([1, 2, 4, 6, 9, 10].map(spell)).toEqual([
      'f a.c:5',
      'open a.c:20 < f a.c:5',
      'plain b.h:31 < open a.c:21 < f a.c:5',
      'open b.h:19 < f a.c:5',
      'open b.h:19 < f a.c:5',
      'f a.c:5',
    ]);
  });

  it('of Visual C++ begin rows that the next one ends, and rows with lengths', () => {
    // Code from 0x204 to 0x212 and from 0x215 to 0x229, as in a real PDB.
    const site = inlineSite(inner, 0x1003, [3, 0x82, 4, 6, 3, 12, 4, 0x0a, 0x0b, 7, 0x0b, 0x43, 6, 2, 12, 9, 8]);
    const file = open({ symbols: [procedure('f', 0, 0x400, 4, site)], ids, types });
    const isInlined = (offset: number): boolean => file.find(at(offset))!.inlined.length > 0;
    expect([0x203, 0x204, 0x20e, 0x211, 0x212, 0x214, 0x215, 0x218, 0x228, 0x229].map(isInlined)).toEqual([
      ...[false, true, true, true, false, false, true, true, true, false],
    ]);
  });

  it.each([
    ['without an end', [0x0b, 0x00]],
    ['that are no numbers', [0x0b, 0xff, 0xff, 0xff]],
    ['of no known meaning', [0x3f, 0x01]],
    ['that go beyond the image', [3, 0xdf, 0xff, 0xff, 0xff, 4, 0xdf, 0xff, 0xff, 0xff]],
  ])('with annotations %s are none', (_, annotations) => {
    const file = open({ symbols: [procedure('f', 0, 8, 4, inlineSite(inner, 0x1003, annotations))], ids, types });
    expect(file.find(at(0))).toEqual({ name: 'f', begin: at(0), inlined: [] });
  });
});

describe('public symbols', () => {
  const publics = [
    { name: '?first@@YAXXZ', offset: 0x10 },
    { name: 'data', offset: 0x20, flags: 0 },
    { name: '?second@@YAXXZ', offset: 0x30 },
  ];

  it('are found below an address, without those of data', () => {
    const file = open({ publics });
    expect([0xf, 0x10, 0x2f, 0x30, 0xfff].map((offset) => file.publicAt(at(offset))?.name)).toEqual([
      undefined,
      '?first@@YAXXZ',
      '?first@@YAXXZ',
      '?second@@YAXXZ',
      '?second@@YAXXZ',
    ]);
  });

  it('are none where there are none', () => {
    expect(open({}).publicAt(at(0))).toBeUndefined();
  });
});

it('a PDB with any bytes wrong, or cut off anywhere, gives names or none, in bounded memory', () => {
  const inner = childrenOf('f');
  const whole = buildPdb({
    symbols: [procedure('f', 0, 0x40, 4, inlineSite(inner, 0x1000, [0x0b, 0x00, 4, 8])), procedure('g', 0x40, 0x40)],
    lines: [
      files,
      lineTable(0, 0x40, [
        [0, 5],
        [8, 6],
      ]),
      inlineeLines([0x1000, 0, 20]),
    ],
    ids: [record(0x1601, u32(0), u32(0), text('inlined'))],
    publics: [{ name: 'f', offset: 0 }],
    names,
  });
  const random = randomNumbers(42);
  let answers = 0;
  const kept = ends(() =>
    Array.from({ length: 1000 }, (_, round) => {
      const bytes = Buffer.from(whole);
      for (let count = 1 + random(round % 2 === 0 ? 3 : 40); count > 0; count--)
        bytes[random(bytes.length)] = random(256);
      const budget = new MemoryBudget();
      const file = PdbFile.fromBytes(round % 10 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes, budget);
      for (let offset = 0; offset < 0x80; offset += 8) {
        if (file?.find(at(offset)) !== undefined) answers++;
        file?.publicAt(at(offset));
        file?.lineOf(at(offset));
      }
      return new MemoryBudget().leftBytes - budget.leftBytes;
    }),
  );
  expect(answers).toBeGreaterThan(1000);
  expect(Math.max(...kept)).toBeLessThan(8 * whole.length);
  expect(whole.length % BLOCK_SIZE_BYTES).toBe(0);
});

function replaceU32(bytes: Buffer, offset: number, value: number): Buffer {
  bytes.writeUInt32LE(value, offset);
  return bytes;
}
