// Debug information that was made to take memory or time. The budget and the counts measure the kept data. Work that
// grows too fast would need many minutes.
import { afterEach, describe, expect, it, vi } from 'vitest';

import { CodeSymbols, symbolKey } from '../../../src/symbols/code-symbols.ts';
import { DwarfFunctions } from '../../../src/symbols/dwarf/functions.ts';
import { DwarfLines } from '../../../src/symbols/dwarf/lines.ts';
import { type DwarfSections, listUnits } from '../../../src/symbols/dwarf/unit-headers.ts';
import { DwarfUnits } from '../../../src/symbols/dwarf/units.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';
import { readName } from '../../../src/symbols/name-tables.ts';
import { ends } from '../../hang.ts';
import { address, IMAGE_BASE, repeated, sectionsOf, text, u16, u32, u64, withLength } from './bytes.ts';

/** More than any of these tests has to keep of good debug information. */
const ENOUGH_SIZE_BYTES = 1 << 28;

function readFunctions(sections: DwarfSections, budget: MemoryBudget): DwarfFunctions {
  const units = new DwarfUnits(sections, budget);
  return new DwarfFunctions(units, new DwarfLines(units, IMAGE_BASE), IMAGE_BASE);
}

function readLines(line: Buffer, budget: MemoryBudget): DwarfLines {
  return new DwarfLines(new DwarfUnits(sectionsOf({ line }), budget), IMAGE_BASE);
}

describe('rows of lines', () => {
  const header = [
    ...[1, 1, 1, 0xfb, 14, 13], // minimum_instruction_length … opcode_base
    ...[0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1], // standard_opcode_lengths
    ...[0, ...text('a.c'), 0, 0, 0, 0],
  ];
  const lineUnit = (...program: readonly (readonly number[] | Buffer)[]): Buffer =>
    withLength(u16(4), u32(header.length), header, ...program);
  const setAddress = (rva: number): number[] => [0, 9, 2, ...address(rva)];
  /** DW_LNS_advance_line 9, DW_LNS_copy */
  const line10 = [3, 9, 1];
  const advance8AndEnd = [2, 8, 0, 1, 1];
  /** A special opcode that advances neither address nor line. */
  const ROW = 13 + 5;
  const MANY = 1 << 20;
  const small = [...setAddress(0x1000), ...line10, ...advance8AndEnd];
  const large = [setAddress(0x2000), repeated([ROW], MANY), advance8AndEnd];

  it('are kept of the sequences that are asked for, and of no others', () => {
    const lines = readLines(lineUnit(small, ...large), new MemoryBudget(ENOUGH_SIZE_BYTES));
    expect(lines.kept).toEqual({ sequences: 2, rows: 0 });
    expect(lines.find(0x1004)).toEqual({ file: 'a.c', line: 10 });
    expect(lines.kept.rows).toBe(1);
    expect(lines.find(0x2004)).toEqual({ file: 'a.c', line: 1 });
    expect(lines.kept.rows).toBe(1 + MANY);
  });

  it('that find no room are absent, and others are there', () => {
    const budget = new MemoryBudget(1 << 20);
    const lines = readLines(lineUnit(small, ...large), budget);
    expect(lines.find(0x2004)).toBeUndefined();
    expect(lines.find(0x1004)).toEqual({ file: 'a.c', line: 10 });
    expect(lines.kept.rows).toBe(1);
    expect(budget.leftBytes).toBeGreaterThan(0);
  });

  it('in millions of sequences leave those that find room', () => {
    const sequence = [...setAddress(0x1000), ...line10, ...advance8AndEnd];
    const lines = ends(() => readLines(lineUnit(repeated(sequence, 1 << 18)), new MemoryBudget(1 << 20)));
    expect(lines.kept.sequences).toBeGreaterThan(1000);
    expect(lines.kept.sequences).toBeLessThan(10_000);
    expect(lines.find(0x1004)?.line).toBe(10);
  });

  it('of files that take more room than the bytes that name them have no file', () => {
    // DWARF 5: each of a hundred thousand files has the same name of 4 KiB in another section.
    const count = 100_000;
    const lists = (files: number): Buffer =>
      Buffer.concat([
        Buffer.from([...[1, 1, 0x1f, 1], ...u32(0)]), // one directory: DW_LNCT_path as DW_FORM_line_strp
        Buffer.from([...[1, 1, 0x1f], 0x80 | (files & 0x7f), 0x80 | ((files >> 7) & 0x7f), files >> 14]),
        repeated(u32(0), files),
      ]);
    const fileOf = (files: number): string | undefined => {
      const head = header.slice(0, 18);
      const rest = lists(files);
      const line = withLength([5, 0, 8, 0], u32(head.length + rest.length), head, rest, small);
      const lineStrings = Buffer.from(text('a'.repeat(4000)));
      const units = new DwarfUnits(sectionsOf({ line, lineStrings }), new MemoryBudget(1 << 20));
      return new DwarfLines(units, IMAGE_BASE).find(0x1004)?.file;
    };
    expect(fileOf(10)).toMatch(/a{4000}$/);
    expect(fileOf(count)).toBeUndefined();
  });
});

describe('units', () => {
  afterEach(() => void vi.unstubAllGlobals());

  function countErrors(work: () => void): number {
    let count = 0;
    const Original = RangeError;
    vi.stubGlobal(
      'RangeError',
      class extends Original {
        constructor(message?: string) {
          super(message);
          count++;
        }
      },
    );
    ends(work);
    vi.unstubAllGlobals();
    return count;
  }

  it('of no size make no exception', () => {
    const zeros = Buffer.alloc(1 << 22);
    expect(countErrors(() => expect(listUnits(zeros)).toEqual([]))).toBe(0);
    expect(countErrors(() => readLines(zeros, new MemoryBudget()))).toBe(0);
  });

  it('that are damaged make thousands of exceptions at most', () => {
    const section = repeated([...u32(7), ...u16(4), ...[1, 2, 3, 4, 5]], 1 << 16);
    expect(countErrors(() => readLines(section, new MemoryBudget()))).toBeLessThan(5000);
  });

  const root = [...u16(4), ...u32(0), 8, 1, ...u32(0)]; // a header, and an entry of the abbreviation below
  const abbreviations = Buffer.from([1, 0x11, 0, 0x1b, 0x0e, 0, 0, 0]); // DW_TAG_compile_unit: comp_dir strp

  it('are listed up to a number', () => {
    const info = repeated([...withLength(root)], 300_000);
    expect(listUnits(info.subarray(0, info.length / 3))).toHaveLength(100_000);
    expect(listUnits(info)).toHaveLength(1 << 18);
  });

  it('whose directories find no room are missing', () => {
    const strings = Buffer.from(text('d'.repeat(4000)));
    const info = repeated([...withLength(root)], 10_000);
    const { roots } = new DwarfUnits(sectionsOf({ info, abbreviations, strings }), new MemoryBudget(1 << 20));
    expect(roots[0]?.directory).toHaveLength(4000);
    expect(roots.length).toBeLessThan(200);
  });

  it.each([
    [100, 1],
    [1000, 0],
  ])('whose entry has %i attributes are there %i times', (count, expected) => {
    const attributes = Array.from({ length: count }, () => [0x3f, 0x19]).flat(); // external flag_present
    const table = Buffer.from([1, 0x11, 0, ...attributes, 0, 0, 0]);
    const info = withLength(root.slice(0, 8));
    const units = new DwarfUnits(sectionsOf({ info, abbreviations: table }), new MemoryBudget(ENOUGH_SIZE_BYTES));
    expect(units.roots).toHaveLength(expected);
  });

  it('whose directories have no end do not search all strings each', () => {
    const strings = Buffer.alloc(1 << 26, 0x61);
    const info = repeated([...withLength(root)], 100_000);
    const sections = sectionsOf({ info, abbreviations, strings });
    const { roots } = ends(() => new DwarfUnits(sections, new MemoryBudget(ENOUGH_SIZE_BYTES)));
    expect(roots).toHaveLength(100_000);
    expect(roots[0]?.directory).toBeUndefined();
  });
});

describe('entries', () => {
  const UNIT = 1;
  const FUNCTION = 2;
  const BLOCK = 3;
  const IN_RANGES = 4;
  const abbreviations = Buffer.from([
    ...[UNIT, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0], // DW_TAG_compile_unit with children: low_pc addr, high_pc data8
    ...[FUNCTION, 0x2e, 0, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0], // DW_TAG_subprogram: name string, low_pc, high_pc
    ...[BLOCK, 0x0b, 1, 0, 0], // DW_TAG_lexical_block with children
    ...[IN_RANGES, 0x2e, 0, 0x55, 0x17, 0, 0], // DW_TAG_subprogram: ranges sec_offset
    0,
  ]);
  const unitOf = (version: 4 | 5, ...entries: readonly (readonly number[] | Buffer)[]): Buffer =>
    withLength(
      version === 5 ? [...u16(5), 1, 8, ...u32(0)] : [...u16(4), ...u32(0), 8],
      [UNIT, ...address(0x1000), ...u64(0x100_0000)],
      ...entries,
    );
  const functionAt = (rva: number): number[] => [FUNCTION, ...text('open'), ...address(rva), ...u64(0x10)];
  const [first, last] = [functionAt(0x1000), functionAt(0x2000)];

  it.each([
    ['are all there', ENOUGH_SIZE_BYTES, 'open'],
    ['that find no room are missing', 1 << 20, undefined],
  ])('%s', (_, sizeBytes, expected) => {
    const info = unitOf(4, first, repeated(functionAt(0x3000), 20_000), last, [0]);
    const functions = readFunctions(sectionsOf({ info, abbreviations }), new MemoryBudget(sizeBytes));
    expect(functions.find(0x2000)?.name).toBe(expected);
  });

  it.each([
    [1000, 'open'],
    [1_000_000, undefined],
  ])('in %i blocks in each other have the name %s', (count, expected) => {
    const info = unitOf(4, first, repeated([BLOCK], count), last, Buffer.alloc(count + 1));
    const functions = readFunctions(sectionsOf({ info, abbreviations }), new MemoryBudget(ENOUGH_SIZE_BYTES));
    expect(functions.find(0x1000)?.name).toBe('open');
    expect(functions.find(0x2000)?.name).toBe(expected);
  });

  it('that all mean one long list, of bases for ranges that never come, come to an end', () => {
    const rangeLists = Buffer.concat([Buffer.alloc(12), repeated([5, ...u64(0)], 200_000), Buffer.alloc(1)]);
    const info = unitOf(5, first, repeated([IN_RANGES, ...u32(12)], 50_000), [0]);
    const sections = sectionsOf({ info, abbreviations, rangeLists });
    const budget = new MemoryBudget(ENOUGH_SIZE_BYTES);
    expect(ends(() => readFunctions(sections, budget).find(0x1000))?.name).toBe('open');
  });

  it('with more ranges than find room are in those that do', () => {
    const ranges = Buffer.concat([repeated([...u64(0), ...u64(0x10)], 100_000), Buffer.alloc(16)]);
    const info = unitOf(4, first, [IN_RANGES, ...u32(0)], [0]);
    const budget = new MemoryBudget(1 << 20);
    const functions = readFunctions(sectionsOf({ info, abbreviations, ranges }), budget);
    expect(functions.find(0x1000)?.name).toBeUndefined();
    expect(budget.leftBytes).toBeLessThan(1000);
  });

  it('that take no room beside their attributes come to an end', () => {
    const flags = Array.from({ length: 120 }, () => [0x3f, 0x19]).flat();
    const table = Buffer.concat([
      abbreviations.subarray(0, -1),
      Buffer.from([...[5, 0x34, 0], ...flags, ...[0x1c, 0x0f], 0, 0, 0]), // DW_TAG_variable: const_value udata
    ]);
    const info = unitOf(4, first, repeated([5, 1], 1 << 20), last, [0]);
    const budget = new MemoryBudget(ENOUGH_SIZE_BYTES);
    const functions = readFunctions(sectionsOf({ info, abbreviations: table }), budget);
    expect(ends(() => functions.find(0x1000))?.name).toBe('open');
    expect(functions.find(0x2000)).toBeUndefined();
  });
});

describe('names', () => {
  it('of one address are read once each, however often it is asked for', () => {
    let count = 0;
    const symbols = new CodeSymbols(
      Array.from({ length: 1000 }, (_, row) => symbolKey(0x1000, row)),
      (row) => {
        count++;
        return `name${row}`;
      },
    );
    for (let rva = 0x1000; rva < 0x1100; rva++) expect(symbols.atOrBelow(rva)?.name).toBe('name0');
    expect(count).toBe(1000);
  });

  it('without an end are cut off, and not searched to the end of the file', () => {
    const bytes = Buffer.alloc(1 << 26, 0x61);
    const names = ends(() => Array.from({ length: 20_000 }, (_, offset) => readName(bytes, offset)));
    expect(names.every((name) => name.length === 4096)).toBe(true);
  });
});
