// `npm run bench:symbols`: measures how long it takes to turn 10,000 different addresses into functions and lines: in
// all modules of a Node.js, in one program with DWARF, and in one with a PDB. Every round is a new process, which has
// read no file yet.
import { existsSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

import { fixture, measureByTurns, ratios, run, runBenchmark, say, spell, spellCount, startNode } from './measure.js';

/** @import { Module } from '../dist/process/modules.js' */

const AIM_S = 3;
const self = fileURLToPath(import.meta.url);
const places = { node: "all of Node.js' modules", dwarf: 'a program with DWARF', pdb: 'a program with a PDB' };
/** @type {Record<string, string>} */
const programs = { dwarf: 'opens-at-random-points', pdb: 'opens-at-random-points-pdb' };

if (process.argv[2] === 'round') {
  say(JSON.stringify(await resolveAddresses(process.argv[3] ?? '', Number(process.argv[4]))));
} else {
  await runBenchmark(import.meta.url, {
    sizes: { rounds: { full: 5, smoke: 1 }, addresses: { full: 10_000, smoke: 100 } },
    programs: () => ['opens-at-random-points'],
    async inWindows({ rounds, addresses }) {
      for (const [place, name] of Object.entries(places)) {
        const program = programs[place];
        if (program !== undefined && !existsSync(fixture(program))) {
          say(`${name} is left out: clang and lld are not there to build one`);
          continue;
        }
        const { node, found } = await measureByTurns(rounds, {
          node: startNode,
          found: () => runRound(place, addresses),
        });
        const ms = found.map(({ tookMs }) => tookMs);
        const { count = 0, named = 0, lines = 0 } = found[0] ?? {};
        const seconds = ms.map((each) => each / 1000);
        say(
          `${spellCount(count)} addresses of ${name}: ${spell(seconds, 2)} s (aim: under ${AIM_S}), ${spell(ratios(ms, node), 2)} times Node.js alone; ${spellCount(named)} with a name, ${spellCount(lines)} with a line`,
        );
      }
    },
  });
}

/** @typedef {{ tookMs: number, named: number, lines: number, count: number }} Found */

/**
 * @param {string} place
 * @param {number} wanted
 * @returns {Found}
 */
function runRound(place, wanted) {
  return JSON.parse(run(process.execPath, [self, 'round', place, String(wanted)]).stdout);
}

/**
 * @param {string} place
 * @param {number} wanted
 * @returns {Promise<Found>}
 */
async function resolveAddresses(place, wanted) {
  const { listModules } = await import('../dist/process/modules.js');
  const { CURRENT_PROCESS, BorrowedHandle } = await import('../dist/io/index.js');
  const { Symbolizer } = await import('../dist/symbols/symbolizer.js');
  const program = programs[place];
  const modules =
    program === undefined ? listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS)) : [await describe(program)];
  const addresses = await chooseAddresses(modules, wanted);
  const before = performance.now();
  const symbolizer = new Symbolizer(modules);
  let [named, lines] = [0, 0];
  for (const address of addresses) {
    const frame = symbolizer.resolve(address);
    if (frame.function !== undefined) named++;
    if (frame.line !== undefined) lines++;
  }
  const tookMs = performance.now() - before;
  symbolizer[Symbol.dispose]();
  return { tookMs, named, lines, count: addresses.length };
}

/**
 * The program as a module at the address that it was linked for.
 *
 * @param {string} program
 * @returns {Promise<Module>}
 */
async function describe(program) {
  const { ExecutableFile } = await import('../dist/symbols/executable-file.js');
  const path = fixture(program);
  const file = ExecutableFile.fromDescriptor(openSync(path, 'r'));
  if (file === undefined) throw new Error(`Cannot read ${path}.`);
  file[Symbol.dispose]();
  return { base: 0x1_4000_0000n, sizeBytes: file.imageSizeBytes, name: `${program}.exe`, path, isSystem: false };
}

/**
 * Different addresses in functions, equally many in each module, and the same in every run.
 *
 * @param {readonly Module[]} modules
 * @param {number} wanted
 */
async function chooseAddresses(modules, wanted) {
  const { ExecutableFile } = await import('../dist/symbols/executable-file.js');
  const each = Math.ceil(wanted / modules.length);
  return modules.flatMap(({ base, sizeBytes, path }) => {
    const file = ExecutableFile.fromDescriptor(openSync(path, 'r'));
    /** @type {Set<bigint>} */
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
