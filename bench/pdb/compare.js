// `node bench/pdb/compare.js <program> <pdb> [step]`: holds our reading of a PDB against that of llvm-symbolizer, at
// every address of the program's code, or at every <step>th. Prints how many agree, and examples of those that differ.
import { openSync } from 'node:fs';

import { PdbFile } from '../../dist/symbols/pdb/pdb-file.js';
import { askSymbolizer, hasSymbolizer, readCode } from './llvm-symbolizer.js';

/** @import { Place } from './llvm-symbolizer.js' */

const EXAMPLES = 3;
const [program, pdb, step = '1'] = process.argv.slice(2);

if (program === undefined || pdb === undefined || !hasSymbolizer()) {
  process.stderr.write('A program and its PDB are needed, and llvm-symbolizer on the PATH.\n');
  process.exitCode = 2;
} else {
  compare(
    program,
    pdb,
    readCode(program).addresses.filter((_, index) => index % Number(step) === 0),
  );
}

/**
 * @param {string} programPath
 * @param {string} pdbPath
 * @param {readonly number[]} addresses
 */
function compare(programPath, pdbPath, addresses) {
  const file = PdbFile.fromDescriptor(openSync(pdbPath, 'r'));
  if (file === undefined) throw new Error(`Cannot read ${pdbPath}.`);
  const before = performance.now();
  const ours = addresses.map((rva) => placesOf(file.find(rva)));
  const tookMs = performance.now() - before;
  const theirs = askSymbolizer(programPath, addresses);
  /** @type {Map<string, string[]>} */
  const differences = new Map();
  let same = 0;
  let crashed = 0;
  for (const [index, rva] of addresses.entries()) {
    const [own, other] = [ours[index] ?? [], theirs[index]];
    const kind = other === undefined ? undefined : findDifference(own, other);
    if (other === undefined) crashed++;
    else if (kind === undefined) same++;
    else differences.set(kind, [...(differences.get(kind) ?? []), describe(rva, own, other)]);
  }
  const named = ours.filter((places) => places.length > 0).length;
  const inlined = ours.filter((places) => places.length > 1).length;
  process.stdout.write(
    `${addresses.length} addresses: ${named} with a name, ${inlined} in inlined functions, in ${Math.round(tookMs)} ms\n`,
  );
  process.stdout.write(`${same} agree; llvm-symbolizer crashes at ${crashed}\n`);
  for (const [kind, examples] of differences) {
    process.stdout.write(`${examples.length} differ: ${kind}\n${examples.slice(0, EXAMPLES).join('')}`);
  }
}

/**
 * @param {ReturnType<PdbFile['find']>} found
 * @returns {readonly Place[]}
 */
function placesOf(found) {
  if (found === undefined) return [];
  return [...found.inlined, found].map(({ name, line }) => ({ name, file: line?.file ?? '', line: line?.line ?? 0 }));
}

/**
 * @param {readonly Place[]} own
 * @param {readonly Place[]} other
 * @returns {string | undefined}
 */
function findDifference(own, other) {
  if (own.length === 0 && other.length === 0) return undefined;
  if (own.length === 0) return 'we have no name';
  if (other.length === 0) return 'it has no name';
  if (own.at(-1)?.name !== spell(other.at(-1)?.name)) return 'another function';
  if (own.length > other.length) return 'it has fewer inlined functions';
  if (own.length < other.length) return 'we have fewer inlined functions';
  if (own.some(({ name }, index) => name !== spell(other[index]?.name))) return 'another inlined function';
  if (own.at(-1)?.line !== readLine(other.at(-1))) return 'another line of the function';
  if (own.some(({ line }, index) => line !== readLine(other[index]))) return 'another line of an inlined function';
  return own.some(({ file, line }, index) => line !== 0 && file !== other[index]?.file) ? 'another file' : undefined;
}

/** Our spelling of a name. @param {string | undefined} name */
function spell(name = '') {
  const plain = name.replaceAll("`anonymous namespace'", '(anonymous namespace)');
  const special = /^(.*)::\{([cd]tor)\}$/.exec(plain);
  if (special === null) return plain;
  const [, around = '', kind] = special;
  let depth = 0;
  let at = around.length;
  while (at > 0 && !(depth === 0 && around.slice(at - 2, at) === '::')) {
    at--;
    depth += around[at] === '>' ? 1 : around[at] === '<' ? -1 : 0;
  }
  return `${around}::${kind === 'dtor' ? '~' : ''}${around.slice(at)}`;
}

/** A line; 0 for the marks of code that has none. @param {Place | undefined} place */
function readLine(place) {
  const line = place?.line ?? 0;
  return line === 0xf0_0f00 || line === 0xfe_efee ? 0 : line;
}

/**
 * @param {number} rva
 * @param {readonly Place[]} own
 * @param {readonly Place[]} other
 */
function describe(rva, own, other) {
  const list = (/** @type {readonly Place[]} */ places) =>
    places.map(({ name, file, line }) => `${name} (${file.replace(/^.*[\\/]/, '')}:${line})`).join(' < ');
  return `  0x${rva.toString(16)}\n    we: ${list(own)}\n    it: ${list(other)}\n`;
}
