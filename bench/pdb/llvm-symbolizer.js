// llvm-symbolizer's answers, to hold our reading of PDB files against.
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** @typedef {{ name: string, file: string, line: number }} Place */

/** It crashes at some addresses of programs of Visual C++: these are left out, up to so many. */
const CRASHES_MAX = 1000;

/** Whether it is installed. */
export function hasSymbolizer() {
  return spawnSync('llvm-symbolizer', ['--version']).status === 0;
}

/**
 * The functions at each address, the innermost first; `undefined` where llvm-symbolizer crashes, and empty where it
 * knows none.
 *
 * @param {string} program whose PDB is where the linker wrote it, or beside it
 * @param {readonly number[]} rvas
 * @returns {(readonly Place[] | undefined)[]}
 */
export function askSymbolizer(program, rvas) {
  const { base } = readCode(program);
  /** @type {(readonly Place[] | undefined)[]} */
  const answers = [];
  for (let crashes = 0; answers.length < rvas.length && crashes <= CRASHES_MAX; crashes++) {
    const left = rvas.slice(answers.length);
    const { stdout } = spawnSync(
      'llvm-symbolizer',
      [`--obj=${program}`, '--functions=short', '--no-demangle', '--output-style=JSON'],
      { input: left.map((rva) => `0x${(base + rva).toString(16)}\n`).join(''), encoding: 'utf8', maxBuffer: 2 ** 30 },
    );
    for (const line of stdout.split('\n').slice(0, -1)) answers.push(readAnswer(line));
    if (answers.length < rvas.length) answers.push(undefined);
  }
  return answers;
}

/**
 * @param {string} line
 * @returns {readonly Place[]}
 */
function readAnswer(line) {
  /** @type {{ Symbol?: { FunctionName: string, FileName: string, Line: number }[] }} */
  const { Symbol: symbols = [] } = JSON.parse(line);
  return symbols
    .map(({ FunctionName: name, FileName: file, Line }) => ({ name, file, line: Line }))
    .filter(({ name }) => name !== '');
}

/**
 * The base that the linker meant, and every address of the sections of code.
 *
 * @param {string} path of a 64-bit program
 */
export function readCode(path) {
  const bytes = readFileSync(path);
  const header = bytes.readUInt32LE(60);
  const first = header + 24 + bytes.readUInt16LE(header + 20);
  /** @type {number[]} */
  const addresses = [];
  for (let index = 0; index < bytes.readUInt16LE(header + 6); index++) {
    const section = first + index * 40;
    if ((bytes.readUInt32LE(section + 36) & 0x2000_0000) === 0) continue; // IMAGE_SCN_MEM_EXECUTE
    const [sizeBytes, rva] = [bytes.readUInt32LE(section + 8), bytes.readUInt32LE(section + 12)];
    for (let at = 0; at < sizeBytes; at++) addresses.push(rva + at);
  }
  return { base: Number(bytes.readBigUInt64LE(header + 48)), addresses };
}
