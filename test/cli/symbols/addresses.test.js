// Our reading of DWARF against that of binutils, for every instruction of several programs.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { demangleItanium } from '../../../dist/symbols/demangle/itanium.js';
import { ExecutableFile } from '../../../dist/symbols/executable-file.js';

const folder = fileURLToPath(new URL('../../../fixtures/build/', import.meta.url));
const tool = ['x86_64-w64-mingw32-addr2line', 'addr2line'].find((name) => spawnSync(name, ['--version']).status === 0);
const programs = [
  'prints-addresses',
  'prints-addresses-dwarf5',
  'leaks-inlined',
  'leaks-inlined-dwarf5',
  'leaks-from-eight-threads',
  'demo',
  'leaks-in-template-dwarf4',
];

for (const program of programs) {
  const path = `${folder}${program}.exe`;
  test(`every address of ${program} has the functions and lines that addr2line finds, inlined ones too`, () => {
    assert.ok(tool, 'addr2line is not installed: it comes with the compiler of the fixtures');
    const { base, addresses } = readCode(path);
    const file = ExecutableFile.fromDescriptor(openSync(path, 'r'));
    assert.ok(file);
    const theirs = askOther(
      path,
      addresses.map((rva) => base + rva),
    );
    let compared = 0;
    let inlined = 0;
    for (const [index, rva] of addresses.entries()) {
      const found = file.dwarfFunctionOf(rva);
      // a runtime's object without debug information: the other names it by its symbol
      if (found === undefined) continue;
      /** @type {number[]} */
      const lines = [file.lineOf(rva), ...found.inlined.map(({ call }) => call)].map((line) => line?.line ?? 0);
      /** @type {string[]} */
      const ours = [...found.inlined.map(({ name }) => name), found.name].map(
        (name, depth) => `${name}:${lines[depth]}`,
      );
      assert.deepEqual(ours, theirs[index], `${program}+0x${rva.toString(16)}`);
      compared++;
      if (found.inlined.length > 0) inlined++;
    }
    assert.ok(compared > 5_000, `${compared} compared`);
    assert.ok(inlined > 500, `${inlined} with inlined functions`);
  });
}

/**
 * The base that the linker meant, and every address of the first section, which is the code.
 *
 * @param {string} path
 */
function readCode(path) {
  const bytes = readFileSync(path);
  const header = bytes.readUInt32LE(60);
  const section = header + 24 + bytes.readUInt16LE(header + 20);
  const first = bytes.readUInt32LE(section + 12);
  return {
    base: Number(bytes.readBigUInt64LE(header + 48)),
    addresses: Array.from({ length: bytes.readUInt32LE(section + 8) }, (_, i) => first + i),
  };
}

/**
 * `function:line` for each function at each address, the innermost first.
 *
 * @param {string} path
 * @param {readonly number[]} addresses
 * @returns {string[][]}
 */
function askOther(path, addresses) {
  const { stdout } = spawnSync(/** @type {string} */ (tool), ['-a', '-f', '-i', '-e', path], {
    input: addresses.map((address) => `0x${address.toString(16)}\n`).join(''),
    encoding: 'utf8',
    maxBuffer: 1 << 28,
  });
  return stdout
    .split(/^0x[0-9a-f]{16}\n/m)
    .slice(1)
    .map((answer) => {
      const rows = answer.trimEnd().split('\n');
      const places = [];
      for (let at = 0; at + 1 < rows.length; at += 2) {
        const name = rows[at] ?? '';
        const line = /:(\d+)(?: \(discriminator \d+\))?$/.exec(rows[at + 1] ?? '')?.[1] ?? '0';
        places.push(`${demangleItanium(name) ?? name}:${line}`);
      }
      return places;
    });
}
