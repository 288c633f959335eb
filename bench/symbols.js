// `npm run bench:symbols`: what it takes to turn 10,000 different addresses into functions and lines: all over the modules of a Node.js, in one
// program with DWARF, and in one with a PDB. Every round is a process of its own, which has read nothing yet.
//
// Prints figures and asserts nothing. Runs on the host: it brings Windows, and then runs itself in Windows Node.js.
import { spawnSync } from 'node:child_process';
import { writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const ROUNDS = Number(process.env['BENCH_ROUNDS'] ?? 5);
const ADDRESSES = Number(process.env['BENCH_ADDRESSES'] ?? 10_000);
const AIM_S = 3;
const self = fileURLToPath(import.meta.url);
const places = { node: "all of Node.js' modules", dwarf: 'a program with DWARF', pdb: 'a program with a PDB' };
/** @type {Record<string, string>} */
const programs = { dwarf: 'opens-at-random-points', pdb: 'leaks-in-template-pdb' };

if (process.argv[2] === 'round') {
  await measure(process.argv[3] ?? '');
} else if (process.argv[2] === 'measure') {
  for (const [place, name] of Object.entries(places)) {
    const rounds = Array.from({ length: ROUNDS }, () => runRound(place)).sort((a, b) => a.seconds - b.seconds);
    const [first, median, last] = [rounds[0], rounds[ROUNDS >> 1], rounds.at(-1)];
    const named = `${median?.named} with a name, ${median?.lines} with a line`;
    say(`${median?.count} addresses of ${name}: ${median?.seconds.toFixed(2)} s (${first?.seconds.toFixed(2)} to ${last?.seconds.toFixed(2)}; aim: under ${AIM_S}), ${named}`);
  }
} else {
  const { runMain, setUp } = await import('../scripts/setup.js');
  const { runScript } = await import('../scripts/windows.js');
  await runMain(async () => runScript(await setUp(), self, ['measure']));
}

/**
 * @param {string} place
 * @returns {{ seconds: number, named: number, lines: number, count: number }}
 */
function runRound(place) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [self, 'round', place], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`A round in ${place} ended with exit code ${status}: ${stderr}`);
  return JSON.parse(stdout);
}

/** @param {string} place */
async function measure(place) {
  /** @param {string} path */
  const built = (path) => import(new URL(`../dist/${path}`, import.meta.url).href);
  const { listModules } = await built('process/modules.js');
  const { CURRENT_PROCESS, BorrowedHandle } = await built('io/index.js');
  const { Symbolizer } = await built('symbols/symbolizer.js');
  const { ExecutableFile } = await built('symbols/executable-file.js');
  const program = programs[place];
  const modules = program === undefined ? listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS)) : [describe(program, ExecutableFile)];
  const addresses = chooseAddresses(modules, ExecutableFile);
  const before = performance.now();
  const symbolizer = new Symbolizer(modules);
  let [named, lines] = [0, 0];
  for (const address of addresses) {
    const frame = symbolizer.resolve(address);
    if (frame.function !== undefined) named++;
    if (frame.line !== undefined) lines++;
  }
  const seconds = (performance.now() - before) / 1000;
  symbolizer[Symbol.dispose]();
  writeSync(1, JSON.stringify({ seconds, named, lines, count: addresses.length }));
}

/**
 * @typedef {{ open(path: string): { imageSizeBytes: number, functionAt(rva: number): object | undefined } & Disposable | undefined }} ExecutableFiles
 * @typedef {{ base: bigint, sizeBytes: number, name: string, path: string, isSystem: boolean }} Module
 */

/**
 * As if it were loaded where it was linked to lie.
 *
 * @param {string} program
 * @param {ExecutableFiles} ExecutableFile
 * @returns {Module}
 */
function describe(program, ExecutableFile) {
  const path = fileURLToPath(new URL(`../fixtures/build/${program}.exe`, import.meta.url));
  const file = ExecutableFile.open(path);
  if (file === undefined) throw new Error(`Cannot read ${path}.`);
  file[Symbol.dispose]();
  return { base: 0x1_4000_0000n, sizeBytes: file.imageSizeBytes, name: `${program}.exe`, path, isSystem: false };
}

/**
 * Different ones, in functions, as many in each module as there are; the same in each run.
 *
 * @param {readonly Module[]} modules
 * @param {ExecutableFiles} ExecutableFile
 * @returns {bigint[]}
 */
function chooseAddresses(modules, ExecutableFile) {
  const each = Math.ceil(ADDRESSES / modules.length);
  return modules.flatMap(({ base, sizeBytes, path }) => {
    const file = ExecutableFile.open(path);
    const chosen = new Set();
    let place = 1;
    for (let tries = 0; file !== undefined && chosen.size < each && tries < 100 * each; tries++) {
      place = (place * 48_271) % 0x7fff_ffff; // Park and Miller's generator
      const rva = place % sizeBytes;
      if (file.functionAt(rva) !== undefined) chosen.add(base + BigInt(rva));
    }
    file?.[Symbol.dispose]();
    return [...chosen];
  });
}

/** @param {string} text */
function say(text) {
  writeSync(1, `${text}\n`);
}
