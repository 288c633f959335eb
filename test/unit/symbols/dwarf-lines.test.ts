import { describe, expect, it } from 'vitest';

import { DwarfLines } from '../../../src/symbols/dwarf/lines.ts';
import type { DwarfSections } from '../../../src/symbols/dwarf/unit-headers.ts';
import { DwarfUnits } from '../../../src/symbols/dwarf/units.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';
import { ends } from '../../hang.ts';
import { IMAGE_BASE, randomNumbers, sectionsOf, text, u32, u64, withLength } from './bytes.ts';

/** A unit of `.debug_line`: its length and the header's length are filled in. */
function lineUnit(version: 4 | 5, files: number[], program: number[]): Buffer {
  const head = version === 5 ? [5, 0, 8, 0] : [4, 0]; // version, address_size, segment_selector_size
  const header = [
    ...[1, 1, 1], // minimum_instruction_length, maximum_operations_per_instruction, default_is_stmt
    ...[0xfb, 14, 13], // line_base -5, line_range, opcode_base
    ...[0, 1, 1, 1, 1, 0, 0, 0, 1, 0, 0, 1], // standard_opcode_lengths
    ...files,
  ];
  return withLength(head, u32(header.length), header, program);
}

/** From 0x1000 on: line 10 (4 bytes), lines 11 and 20 at one address (8 bytes), then a gap. */
const program = [
  ...[0, 9, 2, ...u64(IMAGE_BASE + 0x1000)], // DW_LNE_set_address
  ...[3, 9], // DW_LNS_advance_line 9
  ...[1], // DW_LNS_copy: 0x1000 line 10
  ...[13 + 4 * 14 + 6], // special: address + 4, line + 1: 0x1004 line 11
  ...[3, 9], // DW_LNS_advance_line 9
  ...[1], // DW_LNS_copy: 0x1004 line 20
  ...[2, 8], // DW_LNS_advance_pc 8
  ...[0, 1, 1], // DW_LNE_end_sequence at 0x100c
];

const filesOfVersion4 = [...text('include'), ...text('/abs'), 0, ...text('a.c'), 0, 0, 0, ...text('b.h'), 1, 0, 0, 0];
const filesOfVersion5 = [
  ...[1, 1, 0x1f], // directories: DW_LNCT_path as DW_FORM_line_strp
  ...[2, ...u32(0), ...u32(5)],
  ...[2, 1, 8, 2, 0xb], // files: DW_LNCT_path as DW_FORM_string, DW_LNCT_directory_index as DW_FORM_udata
  ...[2, ...text('a.c'), 0, ...text('b.h'), 1],
];

/** A unit of `.debug_info` whose root says that the line table at 0 was made in /src. */
// DW_TAG_compile_unit: stmt_list sec_offset, comp_dir string
const abbreviations = [1, 0x11, 0, 0x10, 0x17, 0x1b, 8, 0, 0, 0];
const root = [4, 0, ...u32(0), 8, 1, ...u32(0), ...text('/src')];

function sections(line: readonly number[] | Buffer): DwarfSections {
  return sectionsOf({
    line: Buffer.from(line),
    lineStrings: Buffer.from([...text('/src'), ...text('include')]),
    info: withLength(root),
    abbreviations: Buffer.from(abbreviations),
  });
}

function readLines(of: DwarfSections): DwarfLines {
  return new DwarfLines(new DwarfUnits(of, new MemoryBudget()), IMAGE_BASE);
}

const setFile2 = [...program.slice(0, 11), 4, 2, ...program.slice(11)]; // DW_LNS_set_file 2, after the address
const setFile0 = [...program.slice(0, 11), 4, 0, ...program.slice(11)];

describe.each([
  ['DWARF 4', lineUnit(4, filesOfVersion4, program), '/src/a.c'],
  ['DWARF 4, file 2 in a directory', lineUnit(4, filesOfVersion4, setFile2), '/src/include/b.h'],
  ['DWARF 5', lineUnit(5, filesOfVersion5, setFile0), '/src/a.c'],
  ['DWARF 5, file 1 in a directory', lineUnit(5, filesOfVersion5, program), '/src/include/b.h'],
])('%s', (_, line, file) => {
  it.each([
    [0xfff, undefined],
    [0x1000, 10],
    [0x1003, 10],
    [0x1004, 20],
    [0x100b, 20],
    [0x100c, undefined],
  ])('the line of address %i is %s', (rva, expected) => {
    expect(readLines(sections(line)).find(rva)).toEqual(expected && { file, line: expected });
  });

  it('a second unit is found after a damaged one', () => {
    const damaged = [...line];
    damaged[4] = 99; // version
    const lines = readLines(sections([...damaged, ...line]));
    expect(lines.find(0x1004)?.line).toBe(20);
  });

  it('any damage gives lines or none, and never throws', () => {
    const random = randomNumbers(7);
    for (let round = 0; round < 2_000; round++) {
      const whole = sections([...line, ...line]);
      for (const section of Object.values(whole) as Buffer[]) {
        for (let i = random(4); i > 0 && section.length > 0; i--) section[random(section.length)] = random(256);
      }
      const cut = { ...whole, line: whole.line.subarray(0, random(whole.line.length)) };
      for (const damaged of [whole, cut]) {
        const lines = readLines(damaged);
        for (const rva of [0, 0x1000, 0x1004, 0x2000]) lines.find(rva);
      }
    }
  });
});

/** 2 ** 49 as a ULEB128 number. */
const hugeCount = [0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1];

it.each([
  ['a count of files without bytes to name them', [0, ...hugeCount]],
  ['a file format that takes no room', [1, 1, 0x19, ...hugeCount]],
  ['a number without end', [1, 1, 8, ...Array.from({ length: 200 }, () => 0x80), 0]],
])('%s comes to an end', (_, files) => {
  expect(ends(() => readLines(sections(lineUnit(5, files, program))).find(0x1000))).toBeUndefined();
});
