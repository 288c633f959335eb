import { describe, expect, it } from 'vitest';

import { DwarfFunctions } from '../../../src/symbols/dwarf/functions.ts';
import { DwarfLines } from '../../../src/symbols/dwarf/lines.ts';
import type { DwarfSections } from '../../../src/symbols/dwarf/unit-headers.ts';
import { DwarfUnits } from '../../../src/symbols/dwarf/units.ts';
import { MemoryBudget } from '../../../src/symbols/memory-budget.ts';
import { ends } from '../../hang.ts';
import { address, IMAGE_BASE, randomNumbers, repeated, sectionsOf, text, u16, u32, u64, withLength } from './bytes.ts';

/** Codes of the abbreviations below. */
const UNIT = 1;
const FUNCTION = 2;
const INLINED = 3;
const NAMESPACE = 4;
const DECLARATION = 5;
const INSTANCE = 6;
const INLINED_IN_RANGES = 7;
const LINKED = 8;
const abbreviations = [
  ...[UNIT, 0x11, 1, 0x11, 0x01, 0x12, 0x07, 0, 0], // DW_TAG_compile_unit with children: low_pc addr, high_pc data8
  ...[FUNCTION, 0x2e, 1, 0x03, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0], // DW_TAG_subprogram: name string, low_pc, high_pc
  // DW_TAG_inlined_subroutine: abstract_origin ref4, low_pc, high_pc
  ...[INLINED, 0x1d, 1, 0x31, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0],
  ...[NAMESPACE, 0x39, 1, 0x03, 0x08, 0, 0], // DW_TAG_namespace: name string
  ...[DECLARATION, 0x2e, 0, 0x03, 0x08, 0, 0], // DW_TAG_subprogram: name string
  // DW_TAG_subprogram: specification ref4, low_pc, high_pc
  ...[INSTANCE, 0x2e, 1, 0x47, 0x13, 0x11, 0x01, 0x12, 0x07, 0, 0],
  // DW_TAG_inlined_subroutine: abstract_origin ref4, ranges sec_offset
  ...[INLINED_IN_RANGES, 0x1d, 0, 0x31, 0x13, 0x55, 0x17, 0, 0],
  // DW_TAG_subprogram: name string, linkage_name string, low_pc, high_pc
  ...[LINKED, 0x2e, 0, 0x03, 0x08, 0x6e, 0x08, 0x11, 0x01, 0x12, 0x07, 0, 0],
  0,
];
const HEADER_SIZE_BYTES = 11;
const ROOT_SIZE_BYTES = 17;

/** One unit of DWARF 4 that has 0x1000 to 0x2000; entries begin at {@link FIRST}. */
const FIRST = HEADER_SIZE_BYTES + ROOT_SIZE_BYTES;
function unit(entries: readonly number[] | Buffer): Buffer {
  const head = [...u16(4), ...u32(0), 8, UNIT, ...address(0x1000), ...u64(0x1000)];
  return withLength(head, entries, [0]);
}

function functionsOf(info: readonly number[] | Buffer, more: Partial<DwarfSections> = {}): DwarfFunctions {
  const sections = sectionsOf({ info: Buffer.from(info), abbreviations: Buffer.from(abbreviations), ...more });
  const units = new DwarfUnits(sections, new MemoryBudget());
  return new DwarfFunctions(units, new DwarfLines(units, IMAGE_BASE), IMAGE_BASE);
}

const declaration = [NAMESPACE, ...text('store'), DECLARATION, ...text('open'), 0];
const declarationAt = FIRST + 1 + 'store\0'.length;
const sample = unit([
  ...declaration,
  ...[FUNCTION, ...text('main'), ...address(0x1000), ...u64(0x100)],
  ...[INLINED, ...u32(declarationAt), ...address(0x1010), ...u64(0x10), 0],
  0,
  ...[INSTANCE, ...u32(declarationAt), ...address(0x1200), ...u64(0x10), 0],
]);

describe('the function of an address', () => {
  it.each([
    [0xfff, undefined],
    [0x1000, { name: 'main', begin: 0x1000, inlined: [] }],
    [0x1010, { name: 'main', begin: 0x1000, inlined: [{ name: 'store::open' }] }],
    [0x101f, { name: 'main', begin: 0x1000, inlined: [{ name: 'store::open' }] }],
    [0x1020, { name: 'main', begin: 0x1000, inlined: [] }],
    [0x1100, undefined],
    [0x1205, { name: 'store::open', begin: 0x1200, inlined: [] }],
    [0x3000, undefined],
  ])('%i is %j', (rva, expected) => expect(functionsOf(sample).find(rva)).toEqual(expected));

  it('is found in a second unit, after a damaged one', () => {
    const damaged = [...sample];
    damaged[4] = 99; // version
    expect(functionsOf([...damaged, ...sample]).find(0x1010)?.inlined).toEqual([{ name: 'store::open' }]);
  });
});

describe('a function that has a name for the linker too', () => {
  it.each([
    [
      'of Rust is called by that, which does not count implementations',
      '{impl#3}',
      '_RNvMNtCskK7mfDs1mzF_1m5storeINtB2_4Box1hE4openB4_',
      '<m::store::Box1<u8>>::open',
    ],
    ['of C++ is called as in its entries, which spell the whole name', 'store', '_ZN5store4openEi', 'store::open'],
    ['of an unknown kind is called as in its entries', 'store', '?', 'store::open'],
  ])('%s', (_, namespace, linkageName, expected) => {
    const entries = [
      NAMESPACE,
      ...text(namespace),
      LINKED,
      ...text('open'),
      ...text(linkageName),
      ...address(0x1000),
      ...u64(0x10),
      0,
    ];
    expect(functionsOf(unit(entries)).find(0x1000)?.name).toBe(expected);
  });
});

describe('damage comes to an end, in a function or none', () => {
  const main = [...declaration, FUNCTION, ...text('main'), ...address(0x1000), ...u64(0x10)];
  // So many that work for each pair of them would take minutes.
  const MANY = 300_000;
  const nested = (entry: readonly number[]): Buffer => Buffer.concat([repeated(entry, MANY), Buffer.alloc(MANY)]);

  it('a function that is declared by itself', () => {
    const info = unit([INSTANCE, ...u32(FIRST), ...address(0x1000), ...u64(0x10), 0]);
    expect(ends(() => functionsOf(info).find(0x1000))).toBeUndefined();
  });

  it('hundreds of thousands of namespaces in each other', () => {
    const info = unit(nested([NAMESPACE, ...text('a')]));
    expect(ends(() => functionsOf(info).find(0x1000))).toBeUndefined();
  });

  it('functions that are inlined in each other hundreds of thousands of times', () => {
    const inlined = [INLINED, ...u32(declarationAt), ...address(0x1000), ...u64(0x10)];
    const info = unit(Buffer.concat([Buffer.from(main), nested(inlined), Buffer.of(0)]));
    expect(ends(() => functionsOf(info).find(0x1000))?.inlined.length).toBeLessThanOrEqual(64);
  });

  it('many functions that all mean one long list of ranges', () => {
    // Each of them with all of its ranges would not find room in memory.
    const ranges = Buffer.concat([repeated([...u64(0x500), ...u64(0x501)], 20_000), Buffer.alloc(16)]);
    const info = unit(
      Buffer.concat([
        Buffer.from(main),
        repeated([INLINED_IN_RANGES, ...u32(declarationAt), ...u32(0)], 20_000),
        Buffer.of(0),
      ]),
    );
    expect(ends(() => functionsOf(info, { ranges }).find(0x1000))?.name).toBe('main');
  });

  it('any bytes', () => {
    const random = randomNumbers(5);
    let found = 0;
    ends(() => {
      for (let round = 0; round < 1_000; round++) {
        const info = Buffer.from([...sample, ...sample]);
        const table = Buffer.from(abbreviations);
        for (let i = random(4); i >= 0; i--) info[random(info.length)] = random(256);
        if (round % 3 === 0) table[random(table.length)] = random(256);
        const functions = functionsOf(round % 5 === 0 ? info.subarray(0, random(info.length)) : info, {
          abbreviations: table,
        });
        for (const rva of [0x1000, 0x1015, 0x1205]) if (functions.find(rva) !== undefined) found++;
      }
    });
    expect(found).toBeGreaterThan(50);
  });
});
