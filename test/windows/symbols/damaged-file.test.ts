import { openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

import { ExecutableFile } from '../../../src/symbols/executable-file.ts';
import { MemoryBudget, SYMBOL_MEMORY_SIZE_BYTES } from '../../../src/symbols/memory-budget.ts';
import { ends } from '../../hang.ts';
import { randomNumbers } from '../../unit/symbols/bytes.ts';
import { fixtureFolder, fixturePath } from '../tool.ts';

/** A damaged file takes at most so many times its size in memory. */
const KEPT_FACTOR_MAX = 8;
const ROUNDS = 20;

interface SectionPlace {
  readonly name: string;
  /** Offset of its row in the table of sections. */
  readonly rowAt: number;
  readonly at: number;
  readonly sizeBytes: number;
}

/**
 * The sections of a good file. IMAGE_SECTION_HEADER: 40 bytes, +0 Name, +8 VirtualSize, +16 SizeOfRawData, +20 Pointer
 */
function listSections(file: Buffer): readonly SectionPlace[] {
  const header = file.readUInt32LE(60);
  const first = header + 24 + file.readUInt16LE(header + 20);
  const strings = file.readUInt32LE(header + 12) + file.readUInt32LE(header + 16) * 18;
  return Array.from({ length: file.readUInt16LE(header + 6) }, (_, index) => {
    const rowAt = first + index * 40;
    const short = file.toString('latin1', rowAt, rowAt + 8).replace(/\0.*$/s, '');
    const textAt = strings + Number(short.slice(1));
    const name = short.startsWith('/') ? file.toString('latin1', textAt, file.indexOf(0, textAt)) : short;
    const sizeBytes = Math.min(file.readUInt32LE(rowAt + 8), file.readUInt32LE(rowAt + 16));
    return { name, rowAt, at: file.readUInt32LE(rowAt + 20), sizeBytes };
  }).filter(({ sizeBytes }) => sizeBytes > 0);
}

/** Looks up some addresses in every way, and returns how many answers there were and what was kept for them. */
function readAll(bytes: Buffer): { readonly found: number; readonly keptSizeBytes: number } {
  const budget = new MemoryBudget();
  const file = ExecutableFile.fromBytes(bytes, budget);
  let found = 0;
  for (let rva = 0x1000; file !== undefined && rva < 0x4000; rva += 300) {
    const answers = [file.symbolOf(rva), file.functionAt(rva), file.dwarfFunctionOf(rva), file.lineOf(rva)];
    found += answers.filter((answer) => answer !== undefined).length;
  }
  void file?.debugFiles();
  return { found, keptSizeBytes: SYMBOL_MEMORY_SIZE_BYTES - budget.leftBytes };
}

describe.each([['prints-addresses'], ['leaks-in-template-dwarf5']])('%s.exe', (program) => {
  const whole = readFileSync(fixturePath(program));
  // The reader uses these.
  const sections = listSections(whole).filter(({ name }) =>
    /^\.(?:debug_(?:abbrev|addr|info|line|line_str|ranges|rnglists|str|str_offsets)|pdata|xdata|buildid)$/.test(name),
  );
  const random = randomNumbers(42);

  /** Reads the file after each of many ways to damage it. */
  function damageOften(damage: (bytes: Buffer) => void): void {
    const keptSizesBytes = ends(() =>
      Array.from({ length: ROUNDS }, () => {
        const bytes = Buffer.from(whole);
        damage(bytes);
        return readAll(bytes).keptSizeBytes;
      }),
    );
    expect(Math.max(...keptSizesBytes)).toBeLessThan(KEPT_FACTOR_MAX * whole.length);
  }

  it('has names and lines, and debug sections to damage', () => {
    expect(readAll(whole).found).toBeGreaterThan(25);
    expect(sections.filter(({ name }) => name.startsWith('.debug_')).length).toBeGreaterThan(3);
  });

  it.each(sections)('with any bits of $name wrong gives answers or none', ({ at, sizeBytes }) => {
    damageOften((bytes) => {
      for (let count = 1 + random(8); count > 0; count--) {
        const place = at + random(sizeBytes);
        bytes[place] = bytes[place]! ^ (1 << random(8));
      }
    });
  });

  it.each(sections)('with $name cut off anywhere gives answers or none', ({ rowAt, sizeBytes }) => {
    damageOften((bytes) => bytes.writeUInt32LE(random(sizeBytes), rowAt + 8));
  });

  it('with any bytes wrong, or cut off anywhere, gives answers or none', () => {
    ends(() => {
      for (let round = 0; round < ROUNDS; round++) {
        const bytes = Buffer.from(whole);
        const damage = round % 2 === 0 ? 4 : 200;
        for (let i = 0; i < damage; i++) bytes[random(round % 3 === 0 ? 1024 : bytes.length)] = random(256);
        readAll(round % 5 === 0 ? bytes.subarray(0, random(bytes.length)) : bytes);
      }
    });
  });
});

it.each([
  ['a file of another kind', fileURLToPath(import.meta.url)],
  ['a directory', fixtureFolder],
])('%s is no executable file', (_, path) => {
  expect(ExecutableFile.fromDescriptor(openSync(path, 'r'))).toBeUndefined();
});

it('two bytes are no file', () => {
  expect(ExecutableFile.fromBytes(Buffer.from('MZ'))).toBeUndefined();
});
