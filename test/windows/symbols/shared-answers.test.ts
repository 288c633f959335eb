import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { Module } from '../../../src/process/modules.ts';
import { readFileVersion } from '../../../src/symbols/file-version.ts';
import { SharedAnswers } from '../../../src/symbols/shared-answers.ts';
import { Symbolizer } from '../../../src/symbols/symbolizer.ts';
import { fixturePath } from '../tool.ts';

const scratchFolder = mkdtempSync(join(tmpdir(), 'unclosed-shared-'));
afterAll(() => rmSync(scratchFolder, { recursive: true, force: true }));

/** The first call of a program that has printed where its calls are. */
function run(path: string): { readonly program: Module; readonly rva: bigint; readonly names: object } {
  const lines = execFileSync(path, { encoding: 'utf8' })
    .split(/\r?\n/)
    .map((line) => line.split(' '));
  const [, base, sizeBytes] = lines.find(([kind]) => kind === 'image')!;
  const [, address, name, line] = lines.find(([kind]) => kind === 'call')!;
  return {
    program: { base: BigInt(base!), sizeBytes: Number(sizeBytes), name: basename(path), path, isSystem: false },
    rva: BigInt(address!) - BigInt(base!),
    names: { function: name, line: Number(line) },
  };
}

describe('processes that share answers', () => {
  const path = join(scratchFolder, 'program.exe');
  const at = (module: Module, rva: bigint, shared: SharedAnswers) => {
    using symbolizer = new Symbolizer([module], { shared });
    return symbolizer.resolve(module.base + rva);
  };

  it('have the same names, wherever the module lies in each', () => {
    copyFileSync(fixturePath('prints-addresses'), path);
    const { program, rva, names } = run(path);
    const shared = new SharedAnswers();
    const first = at(program, rva, shared);
    expect(first).toMatchObject(names);
    expect(at({ ...program, base: program.base + 0x1000_0000n }, rva, shared)).toBe(first);
  });

  it('have names of their own where the file was replaced between them', () => {
    copyFileSync(fixturePath('prints-addresses'), path);
    const { program, rva, names } = run(path);
    const shared = new SharedAnswers();
    expect(at(program, rva, shared)).toMatchObject(names);
    copyFileSync(fixturePath('does-nothing'), path);
    expect(at(program, rva, shared)).toEqual({ module: program.name, offset: Number(rva) });
  });

  it('say why names are missing, although the first one of them has looked at the file', () => {
    copyFileSync(fixturePath('prints-addresses'), path);
    const { program, rva } = run(path);
    const shared = new SharedAnswers();
    const explain = () => {
      using symbolizer = new Symbolizer([program], { shared });
      symbolizer.resolve(program.base + rva);
      return symbolizer.explainMissingNames(program.name);
    };
    const first = explain();
    expect(first.why).not.toBe('file-unavailable');
    expect(explain()).toEqual(first);
  });
});

describe('the version of a file', () => {
  const path = join(scratchFolder, 'file.bin');
  const other = join(scratchFolder, 'other.bin');

  it('stays the same while nothing happens to the file', () => {
    writeFileSync(path, 'one');
    expect(readFileVersion(path)).toBe(readFileVersion(path));
    expect(readFileVersion(path)).toBe(readFileVersion(path.toUpperCase()));
  });

  it.each<[what: string, change: () => void]>([
    ['is written to', () => writeFileSync(path, 'another')],
    [
      'is replaced by a file of the same size and time',
      () => {
        writeFileSync(other, 'two');
        utimesSync(other, 1, 1);
        renameSync(other, path);
      },
    ],
  ])('is another one when the file %s', (_what, change) => {
    writeFileSync(path, 'one');
    utimesSync(path, 1, 1);
    const before = readFileVersion(path);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20); // the clock of the file system goes on
    change();
    expect(readFileVersion(path)).not.toBe(before);
  });

  it('is absent for what is no file', () => {
    mkdirSync(join(scratchFolder, 'folder'));
    for (const name of ['folder', 'not-there']) expect(readFileVersion(join(scratchFolder, name))).toBeUndefined();
  });
});
