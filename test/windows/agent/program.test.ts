import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, win32 } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { checkProgram, findProgram, ProgramError } from '../../../src/process/program.ts';
import { fixtureFolder, fixturePath } from '../tool.ts';
import { runProgram } from './recorded-program.ts';

const folder = mkdtempSync(join(tmpdir(), 'unclosed-program-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe('every argument reaches the program as it was given', () => {
  test.each<{ args: readonly string[] }>([
    { args: ['plain', '', 'two words', 'tab\there'] },
    { args: ['say "hi"', '"', '""', '\\"', '\\\\"', 'a\\\\\\"b c'] },
    { args: ['C:\\folder\\', 'C:\\my folder\\', '\\\\server\\share\\', '\\'] },
    { args: ['ä ß 漢字 🙂', '%PATH%', '^&|<>', '*', '--', '-x'] },
  ])('$args', async ({ args }) => {
    const script = 'require("fs").writeSync(1, JSON.stringify(process.argv.slice(1)))';
    const { output } = await runProgram(process.execPath, ['-e', script, '--', ...args], {});
    expect(JSON.parse(output)).toEqual(args);
  });
});

describe('a program is found', () => {
  const [first, second] = [join(folder, 'first'), join(folder, 'second')];
  for (const directory of [first, second]) mkdirSync(directory);
  copyFileSync(fixturePath('sleeps'), join(first, 'one.exe'));
  copyFileSync(fixturePath('sleeps'), join(second, 'one.exe'));
  copyFileSync(fixturePath('sleeps'), join(second, 'two.three.exe'));
  mkdirSync(join(first, 'two.three.exe'));
  const environment = { PATH: `${first};;${second}` };

  test.each([
    { what: 'along PATH, in its order', name: 'one.exe', path: join(first, 'one.exe') },
    { what: 'without its extension', name: 'one', path: join(first, 'one.exe') },
    {
      what: 'with a dot in its name, and past a directory of that name',
      name: 'two.three',
      path: join(second, 'two.three.exe'),
    },
    { what: 'by its whole path', name: join(second, 'one.exe'), path: join(second, 'one.exe') },
    { what: 'by its whole path without its extension', name: join(second, 'one'), path: join(second, 'one.exe') },
    { what: 'with slashes', name: join(second, 'one').replaceAll('\\', '/'), path: join(second, 'one.exe') },
    { what: 'beside this Node.js', name: 'node', path: win32.join(win32.dirname(process.execPath), 'node.exe') },
  ])('$what', ({ name, path }) => {
    expect(findProgram(name, environment).toLowerCase()).toBe(path.toLowerCase());
  });

  test('in an environment that spells Path', () => {
    expect(findProgram('one', { Path: second }).toLowerCase()).toBe(join(second, 'one.exe').toLowerCase());
  });

  test.each(['no-such-program', join(folder, 'no-such-program.exe'), '.\\one', first])('but not %s', (name) => {
    expect(() => findProgram(name, environment)).toThrow(ProgramError);
  });
});

/** The part of an image's headers that the tool reads. */
function image(machine: number, characteristics = 0x22, peOffset = 0x40): Buffer {
  const header = Buffer.alloc(peOffset + 24);
  header.write('MZ', 0, 'latin1');
  header.writeUInt32LE(peOffset, 0x3c); // LONG e_lfanew
  header.write('PE\0\0', peOffset, 'latin1');
  header.writeUInt16LE(machine, peOffset + 4); // WORD Machine
  header.writeUInt16LE(characteristics, peOffset + 22); // WORD Characteristics
  return header;
}

describe('a file that cannot be audited is refused before it runs:', () => {
  const wild = image(0x8664);
  wild.writeUInt32LE(0xffff_fff0, 0x3c);
  const files: readonly (readonly [name: string, content: Buffer | string, why: RegExp])[] = [
    ['a script', 'console.log(1)\n', /not a Windows program/],
    ['an empty file', '', /not a Windows program/],
    ['a program for DOS', image(0x8664).fill(0, 0x40), /not a Windows program/],
    ['one that is cut off', image(0x8664).subarray(0, 0x40 + 20), /not a Windows program/],
    ['one whose header points nowhere', wild, /not a Windows program/],
    ['a 32-bit one', image(0x14c), /32-bit program, which is not audited/],
    ['one for ARM64', image(0xaa64), /ARM64 program, which is not audited/],
    ['one for an unknown machine', image(0x1234), /machine type 0x1234 is not x64/],
    ['a DLL', image(0x8664, 0x2022), /it is a DLL/],
  ];

  test.each(files)('%s', (name, content, why) => {
    const path = join(folder, `${name.replaceAll(' ', '-')}.exe`);
    writeFileSync(path, content);
    expect(() => checkProgram(path)).toThrow(ProgramError);
    expect(() => checkProgram(path)).toThrow(why);
    expect(() => checkProgram(path)).toThrow(/ Try .+\.$/);
  });

  test.each([
    ['a real 32-bit program', fixturePath('program-32-bit'), /32-bit/],
    ['a real DLL', join(fixtureFolder, 'leaky-library.dll'), /it is a DLL/],
    ['a directory', folder, /cannot be read|not a Windows program/],
  ])('%s', (_what, path, why) => {
    expect(() => checkProgram(path)).toThrow(why);
  });

  test('while a real 64-bit program is not', () => {
    expect(() => checkProgram(fixturePath('sleeps'))).not.toThrow();
    expect(() => checkProgram(process.execPath)).not.toThrow();
  });
});
