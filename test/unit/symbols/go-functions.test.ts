// Tables of Go programs, made by hand: https://go.dev/src/runtime/symtab.go
import { describe, expect, it } from 'vitest';

import type { GoImage } from '../../../src/symbols/go/find-table.ts';
import { GoFunctions, withoutTypeArguments } from '../../../src/symbols/go/functions.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';
import { ends } from '../../hang.ts';
import { address, IMAGE_BASE, randomNumbers, text, u32, u64 } from './bytes.ts';

type Version = '1.16' | '1.18' | '1.20';

const TEXT_RVA = 0x1000;
const TABLE_RVA = 0x1_0000;
const DATA_RVA = 0x1000_0000;
const INLINED_RVA = 0x2000_0000;
const NONE = 0xffff_ffff;
const magics: Readonly<Record<Version, number>> = { '1.16': 0xfa, '1.18': 0xf0, '1.20': 0xf1 };

/** A number of variable length. */
function uleb(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...uleb(value >>> 7)];
}

/** A table of values: each is for so many bytes of code. The first counts from -1. */
function values(...steps: readonly (readonly [value: number, sizeBytes: number])[]): number[] {
  let before = -1;
  return [
    ...steps.flatMap(([value, sizeBytes]) => {
      const difference = value - before;
      before = value;
      return [...uleb(difference < 0 ? -difference * 2 - 1 : difference * 2), ...uleb(sizeBytes)];
    }),
    0,
  ];
}

/** Parts one after the other, and where each begins. */
function joined(parts: readonly (readonly number[])[]): { bytes: number[]; at: number[] } {
  const bytes: number[] = [];
  const at = parts.map((part) => {
    for (const byte of part) bytes.push(byte);
    return bytes.length - part.length;
  });
  return { bytes, at };
}

/**
 * A program with two functions of 0x40 bytes: `main.main`, into which `os.Open`, and `os.OpenFile` within it, were
 * inlined from byte 0x10 to 0x20, and `runtime.goexit`.
 */
interface Change {
  readonly table?: (table: Buffer) => void;
  readonly data?: (data: Buffer) => void;
  /** So many steps in the table of lines of runtime.goexit that come to no other address. */
  readonly endless?: number;
}

function program(version: Version, { table: changeTable, data: changeData, endless = 0 }: Change = {}): GoImage {
  const names = joined(['', 'main.main', 'runtime.goexit', 'os.Open', 'os.OpenFile'].map(text));
  const files = joined(['/src/main.go', '/go/src/os/file.go', '/go/src/runtime/asm.s'].map(text));
  const units = [...u32(files.at[0]!), ...u32(NONE), ...u32(files.at[1]!), ...u32(files.at[2]!)];
  const tables = joined([
    [0],
    values([0, 0x10], [2, 0x10], [0, 0x20]), // files of main.main
    values([10, 8], [11, 8], [300, 0x10], [12, 0x20]), // its lines
    values([-1, 0x10], [1, 0x10], [-1, 0x20]), // its calls that were inlined
    values([0, 0x40]), // the file of runtime.goexit
    // One up and one down, over no code, and then its line.
    [...Array.from({ length: endless * 2 }, (_, index) => [2, 0, 1, 0][index % 4]!), ...values([77, 0x40])],
    // Place 0x4 of main.main is where it calls os.Open, and 0x6, in the inlined os.Open, where it calls os.OpenFile.
    values([-1, 6], [0, 2], [-1, 8], [1, 0x10], [-1, 0x20]),
  ]);
  const is16 = version === '1.16';
  const func = (begin: number, name: number, [file, line, inlined]: readonly number[], unit: number): number[] => [
    ...(is16 ? address(TEXT_RVA + begin) : u32(begin)),
    ...u32(names.at[name]!),
    ...[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], // args, deferreturn, pcsp
    ...u32(tables.at[file!]!),
    ...u32(tables.at[line!]!),
    ...u32(3), // npcdata
    ...u32(unit),
    ...(version === '1.20' ? u32(5) : []), // startLine
    ...[0, 0, 0, is16 ? 0 : 4], // funcID, flag, padding, nfuncdata
    ...[0, 0, 0, 0, 0, 0, 0, 0], // PCDATA_UnsafePoint, PCDATA_StackMapIndex
    ...u32(inlined === undefined ? 0 : tables.at[inlined]!), // PCDATA_InlTreeIndex
    ...(is16 ? [] : [...u32(NONE), ...u32(NONE), ...u32(NONE), ...u32(inlined === undefined ? NONE : 0x20)]),
  ];
  const main = func(0, 1, [1, 2, 6], 0);
  const functionsAt = is16 ? 40 : 20; // two rows and the end of the code
  const word = (offset: number): number[] => (is16 ? address(TEXT_RVA + offset) : u32(offset));
  const offset = is16 ? u64 : u32;
  const functions = [
    ...[...word(0), ...offset(functionsAt)],
    ...[...word(0x40), ...offset(functionsAt + main.length)],
    ...word(0x80),
    ...main,
    ...func(0x40, 2, [4, 5], 3),
  ];
  const headerSizeBytes = is16 ? 64 : 72;
  const parts = joined([
    Array<number>(headerSizeBytes).fill(0),
    names.bytes,
    units,
    files.bytes,
    tables.bytes,
    functions,
  ]);
  const [, namesAt, unitsAt, filesAt, valuesAt, rowsAt] = parts.at as [number, number, number, number, number, number];
  const offsets = [namesAt, unitsAt, filesAt, valuesAt, rowsAt];
  const header = [
    ...[magics[version], 0xff, 0xff, 0xff, 0, 0, 1, 8],
    ...[...u64(2), ...u64(3)],
    ...(is16 ? [] : address(TEXT_RVA)),
    ...offsets.flatMap(u64),
  ];
  const table = Buffer.from(parts.bytes);
  table.set(header);

  const words = Array.from({ length: 41 }, () => u64(0));
  words[0] = address(TABLE_RVA);
  [1, 4, 7, 10, 13].forEach((at, index) => (words[at] = address(TABLE_RVA + offsets[index]!)));
  words[14] = u64(functions.length);
  [words[22], words[23]] = [address(TEXT_RVA), address(TEXT_RVA + 0x80)];
  words[version === '1.20' ? 40 : 38] = address(INLINED_RVA);
  const data = Buffer.from([...u64(1), ...words.flat()]);
  // runtime.inlinedCall: os.OpenFile is called in os.Open, which is called in main.main.
  const call = (name: number, at: number): number[] =>
    version === '1.20'
      ? [...u32(0), ...u32(names.at[name]!), ...u32(at), ...u32(1)]
      : [...u32(0), ...u32(0), ...u32(0), ...u32(names.at[name]!), ...u32(at)];
  const inlined = Buffer.from([...Array<number>(0x20).fill(0), ...call(3, 4), ...call(4, 6)]);
  changeTable?.(table);
  changeData?.(data);
  return imageOf([
    { name: '.text', rva: TEXT_RVA, isCode: true, bytes: Buffer.alloc(0x80) },
    { name: '.rdata', rva: TABLE_RVA, isCode: false, bytes: table },
    { name: '.rdata', rva: INLINED_RVA, isCode: false, bytes: inlined },
    { name: '.data', rva: DATA_RVA, isCode: false, bytes: data },
    { name: '.symtab', rva: 0x4000_0000, isCode: false, bytes: Buffer.alloc(4) },
  ]);
}

function imageOf(parts: readonly { name: string; rva: number; isCode: boolean; bytes: Buffer }[]) {
  const slice = (bytes: Buffer, from: number, sizeBytes: number): Buffer | undefined =>
    from >= 0 && from + sizeBytes <= bytes.length ? bytes.subarray(from, from + sizeBytes) : undefined;
  const file = Buffer.concat(parts.map(({ bytes }) => bytes));
  let at = 0;
  const sections = parts.map((part) => {
    at += part.bytes.length;
    return { ...part, fileOffset: at - part.bytes.length, fileSizeBytes: part.bytes.length };
  });
  return {
    imageBase: IMAGE_BASE,
    sections,
    read: (from: number, sizeBytes: number) => slice(file, from, sizeBytes),
    readAt: (rva: number, sizeBytes: number) => {
      const section = sections.find((each) => rva >= each.rva && rva < each.rva + each.fileSizeBytes);
      return section && slice(section.bytes, rva - section.rva, sizeBytes);
    },
  };
}

const goFunctions = (image: GoImage, budget = new MemoryBudget()): GoFunctions | undefined =>
  GoFunctions.find(image, budget);

describe.each<Version>(['1.16', '1.18', '1.20'])('the table of Go %s', (version) => {
  const functions = goFunctions(program(version))!;

  it('is found, and says where the code of Go is', () => {
    expect(functions.code).toEqual({ begin: TEXT_RVA, sizeBytes: 0x80 });
  });

  it.each([
    [0, { name: 'main.main', line: 10 }],
    [5, { name: 'main.main', line: 10 }],
    [8, { name: 'main.main', line: 11 }],
    [0x3f, { name: 'main.main', line: 12 }],
  ])('names the function and the line of byte 0x%x', (place, { name, line }) => {
    const shown = { file: '/src/main.go', line };
    expect(functions.find(TEXT_RVA + place)).toEqual({ name, begin: TEXT_RVA, inlined: [], line: shown });
  });

  it('knows functions of assembly', () => {
    expect(functions.find(TEXT_RVA + 0x7f)).toEqual({
      name: 'runtime.goexit',
      begin: TEXT_RVA + 0x40,
      inlined: [],
      line: { file: '/go/src/runtime/asm.s', line: 77 },
    });
  });

  it.each([TEXT_RVA - 1, TEXT_RVA + 0x80, 0, 2 ** 32])(
    'knows nothing of the address 0x%x outside of the code',
    (rva) => {
      expect(functions.find(rva)).toBeUndefined();
    },
  );
});

describe.each<Version>(['1.18', '1.20'])('the functions that Go %s inlined', (version) => {
  it('are named from the innermost outwards, each with its line', () => {
    expect(goFunctions(program(version))!.find(TEXT_RVA + 0x14)).toEqual({
      name: 'main.main',
      begin: TEXT_RVA,
      inlined: [
        { name: 'os.OpenFile', line: { file: '/go/src/os/file.go', line: 300 } },
        { name: 'os.Open', line: { file: '/src/main.go', line: 10 } },
      ],
      line: { file: '/src/main.go', line: 10 },
    });
  });
});

it('an inlined function that Go 1.16 does not name gives its line to no other: its caller’s is where that begins', () => {
  expect(goFunctions(program('1.16'))!.find(TEXT_RVA + 0x14)).toEqual({
    name: 'main.main',
    begin: TEXT_RVA,
    inlined: [],
    line: { file: '/src/main.go', line: 10 },
  });
});

describe('no table is found', () => {
  it.each<{ title: string; change: Parameters<typeof program>[1] }>([
    { title: 'where the header has another magic number', change: { table: (table) => table.set([0xf9]) } },
    { title: 'for a pointer of four bytes', change: { table: (table) => table.set([4], 7) } },
    { title: 'where no module data point to it', change: { data: (data) => data.set([1], 8) } },
    { title: 'where the module data have another place of the names', change: { data: (data) => data.set([1], 16) } },
    {
      title: 'for more functions than any program has',
      change: { table: (table) => table.set([0xff, 0xff, 0xff], 8) },
    },
    { title: 'for a table that is longer than the file', change: { data: (data) => data.set([1, 1, 1], 8 + 14 * 8) } },
    { title: 'for code that ends before it begins', change: { data: (data) => data.set([0, 0], 8 + 23 * 8) } },
  ])('$title', ({ change }) => {
    expect(goFunctions(program('1.20', change))).toBeUndefined();
  });

  it('in a program that has no sign of Go', () => {
    const image = program('1.20');
    const sections = image.sections.filter(({ name }) => name !== '.symtab');
    expect(goFunctions({ ...image, sections })).toBeUndefined();
  });
});

it('a table with damage anywhere has fewer answers, and nothing throws', () => {
  const random = randomNumbers(7);
  for (let round = 0; round < 500; round++) {
    const damage = (bytes: Buffer): void => {
      for (let count = 0; count < 4; count++) bytes[8 + random(bytes.length - 8)] = random(256);
    };
    const functions = goFunctions(program('1.20', round % 2 === 0 ? { table: damage } : { data: damage }));
    for (let rva = TEXT_RVA; rva < TEXT_RVA + 0x80; rva += 3) functions?.find(rva);
  }
});

it.each([
  ['main.open', 'main.open'],
  ['main.open[...]', 'main.open[...]'],
  ['main.open[go.shape.*uint8]', 'main.open[...]'],
  ['main.(*Map[go.shape.string,go.shape.[]int]).Put', 'main.(*Map[...]).Put'],
  ['main.f]odd[', 'main.f]odd['],
])('%s is shown as %s', (name, shown) => {
  expect(withoutTypeArguments(name)).toBe(shown);
});

describe('a program that was made to take memory or time', () => {
  it('has no names where no memory is left for them', () => {
    const functions = goFunctions(program('1.20'), new MemoryBudget(150))!;
    expect(functions.find(TEXT_RVA)).toBeUndefined();
  });

  it('with a table of a million steps has answers for a while, and then none', () => {
    ends(() => {
      const functions = goFunctions(program('1.20', { endless: 1 << 20 }))!;
      expect(functions.find(TEXT_RVA + 0x7f)?.line?.line).toBe(77);
      for (let round = 0; round < 70; round++) functions.find(TEXT_RVA + 0x7f);
      expect(functions.find(TEXT_RVA)).toBeUndefined();
    });
  });

  it('with many places that look like the table is given up', () => {
    const header = Buffer.from([...[0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8], ...u64(2), ...Array<number>(56).fill(0)]);
    const image = imageOf([
      { name: '.rdata', rva: TABLE_RVA, isCode: false, bytes: Buffer.alloc(header.length << 14, header) },
      { name: '.symtab', rva: 0x4000_0000, isCode: false, bytes: Buffer.alloc(4) },
    ]);
    let readCount = 0;
    const read = (from: number, sizeBytes: number): Buffer | undefined => {
      readCount++;
      return image.read(from, sizeBytes);
    };
    expect(goFunctions({ ...image, read })).toBeUndefined();
    expect(readCount).toBeLessThan(2000);
  });
});
