// `npm run bench:pdb`: measures how long the first address of a PDB of a hundred megabytes takes, and 10,000 more. The
// program has 100,000 functions in C; clang and lld build it first, which takes minutes, and keep it for the next time.
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, openSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { inProject, run, runBenchmark, say, spell, spellCount } from '../measure.js';

const AIM_S = 1;
/** clang takes much more than twice as long for twice as many. */
const FUNCTIONS_OF_FILE = 5000;
const self = fileURLToPath(import.meta.url);

if (process.argv[2] === 'round') {
  const [program = '', addresses = ''] = process.argv.slice(3);
  process.stdout.write(JSON.stringify(await lookUp(program, Number(addresses))));
} else {
  await runBenchmark(import.meta.url, {
    sizes: {
      rounds: { full: 5, smoke: 1 },
      functions: { full: 100_000, smoke: 200 },
      addresses: { full: 10_000, smoke: 100 },
    },
    programs: () => [],
    async onHost(_, { functions }) {
      if (!existsSync(programOf(functions))) build(functions);
    },
    async inWindows({ rounds, functions, addresses }) {
      const program = programOf(functions);
      if (!existsSync(program)) {
        say('left out: clang and lld are not there to build a program');
        return;
      }
      const found = Array.from({ length: rounds }, () => {
        /** @type {Awaited<ReturnType<typeof lookUp>>} */
        const measured = JSON.parse(run(process.execPath, [self, 'round', program, String(addresses)]).stdout);
        return measured;
      });
      const megabytes = (statSync(pdbOf(program)).size / 1e6).toFixed(1);
      const [first, more, kept] = [
        found.map(({ firstMs }) => firstMs / 1000),
        found.map(({ moreMs }) => moreMs / 1000),
        found.map(({ keptBytes }) => keptBytes / 1e6),
      ];
      say(
        `${spellCount(functions)} functions, a PDB of ${megabytes} MB: first address ${spell(first, 2)} s (aim: ${AIM_S})`,
      );
      say(
        `  ${spellCount(addresses)} more ${spell(more, 2)} s (aim: ${AIM_S}), ${spellCount(found[0]?.named ?? 0)} with a name; ${spell(kept, 1)} MB kept`,
      );
    },
  });
}

/** @param {number} functions */
function programOf(functions) {
  return inProject(`fixtures/build/large/${functions}.exe`);
}

/** @param {string} program */
function pdbOf(program) {
  return program.replace(/exe$/, 'pdb');
}

/** @param {number} functions */
function build(functions) {
  const folder = inProject('fixtures/build/large');
  mkdirSync(folder, { recursive: true });
  const objects = [];
  for (let first = 0; first < functions; first += FUNCTIONS_OF_FILE) {
    const source = join(folder, `${functions}-${first}.c`);
    writeFileSync(source, write(first, Math.min(functions, first + FUNCTIONS_OF_FILE)));
    const object = source.replace(/c$/, 'obj');
    const target = ['--target=x86_64-pc-windows-msvc', '-g', '-gcodeview', '-c', source, '-o', object];
    if (spawnSync('clang', target).status !== 0) return;
    objects.push(object);
  }
  const program = programOf(functions);
  const options = ['/nodefaultlib', '/entry:main', '/subsystem:console', '/debug', '/opt:noref'];
  spawnSync('lld-link', [...options, `/out:${program}`, `/pdb:${pdbOf(program)}`, ...objects]);
}

/**
 * @param {number} first
 * @param {number} end
 */
function write(first, end) {
  const functions = Array.from({ length: end - first }, (_, index) => {
    const number = first + index;
    return `
struct shape_${number} { int first_member_of_${number}; struct shape_${number} *next; int values[${1 + (number % 7)}]; };
int function_number_${number}(struct shape_${number} *shape, int count) {
  int total = 0;
  for (int index = 0; index < count; index++) {
    total += shape->values[index % ${1 + (number % 7)}];
    sink = total;
  }
  total += twist(count);
  if (shape->next) sink = shape->next->first_member_of_${number};
  return total;
}`;
  });
  const main = first === 0 ? 'volatile int sink;\nint main(void) { return function_number_0(0, 0); }\n' : '';
  return `extern volatile int sink;
static inline __attribute__((always_inline)) int twist(int a) {
  sink = a;
  return a * 3;
}
${functions.join('\n')}
${main}`;
}

/**
 * @param {string} program
 * @param {number} addresses
 */
async function lookUp(program, addresses) {
  const { ExecutableFile } = await import('../../dist/symbols/executable-file.js');
  const { MemoryBudget } = await import('../../dist/symbols/memory-budget.js');
  const { PdbFile } = await import('../../dist/symbols/pdb/pdb-file.js');
  const image = ExecutableFile.fromDescriptor(openSync(program, 'r'));
  if (image === undefined) throw new Error(`Cannot read ${program}.`);
  /** @type {number[]} */
  const chosen = [];
  let place = 1;
  while (chosen.length <= addresses) {
    place = (place * 48_271) % 0x7fff_ffff; // Park and Miller's generator
    const rva = place % image.imageSizeBytes;
    if (image.functionAt(rva) !== undefined) chosen.push(rva);
  }
  const budget = new MemoryBudget();
  const before = performance.now();
  const file = PdbFile.fromDescriptor(openSync(pdbOf(program), 'r'), budget);
  file?.find(chosen[0] ?? 0);
  const between = performance.now();
  const found = chosen.slice(1).map((rva) => file?.find(rva));
  return {
    firstMs: between - before,
    moreMs: performance.now() - between,
    named: found.filter((each) => each !== undefined).length,
    keptBytes: new MemoryBudget().leftBytes - budget.leftBytes,
  };
}
