// Our reading of PDB files against that of LLVM, at every address of several programs, and of damaged files.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';

import { askSymbolizer, hasSymbolizer, readCode } from '../../../bench/pdb/llvm-symbolizer.js';
import { ExecutableFile } from '../../../dist/symbols/executable-file.js';
import { MemoryBudget, SYMBOL_MEMORY_SIZE_BYTES } from '../../../dist/symbols/memory-budget.js';
import { PdbFile } from '../../../dist/symbols/pdb/pdb-file.js';

/** @import { PdbFunction } from '../../../dist/symbols/pdb/pdb-file.js' */
/** @import { SourceLine } from '../../../dist/symbols/dwarf/lines.js' */

const hasClang = spawnSync('clang', ['--version']).status === 0 && spawnSync('lld-link', ['--version']).status === 0;
const scratch = mkdtempSync(join(tmpdir(), 'unclosed-pdb-'));
after(() => rmSync(scratch, { recursive: true }));

const DAMAGED_FILES = 1000;
/** A damaged file takes at most so many times its size in memory. */
const KEPT_FACTOR_MAX = 8;

/** Functions of C, which call each other and are put into each other. @param {number} count */
function writeC(count) {
  const functions = Array.from(
    { length: count },
    (_, index) => `
struct shape_${index} { int first; struct shape_${index} *next; int values[${(index % 5) + 1}]; };
static inline int twist_${index}(int a) {
  sink = a;
  return a * ${index + 3};
}
int measure_${index}(struct shape_${index} *shape, int count) {
  int total = 0;
  for (int at = 0; at < count; at++) {
    total += shape->values[at % ${(index % 5) + 1}];
    sink = twist_${index}(total);
  }
  if (shape->next) sink = twist_${index}(shape->next->first);
  return total;
}`,
  );
  return `volatile int sink;\n${functions.join('\n')}\nint main(void) { return measure_0(0, 0) + sink; }\n`;
}

/** Classes, lambdas, templates and unnamed namespaces of C++. @param {number} count */
function writeCpp(count) {
  const parts = Array.from(
    { length: count },
    (_, index) => `
namespace store_${index} {
template <typename Value> struct Box {
  Value value;
  struct Inner { static inline int deep(int a) { return a * 3 + ${index}; } };
  __attribute__((always_inline)) int open(int count) const {
    int total = 0;
    for (int at = 0; at < count; at++) {
      total += value * at;
      sink = total;
    }
    return total + Inner::deep(count);
  }
};
namespace {
inline __attribute__((always_inline)) int reopen(const Box<int> &box, int count) {
  sink = 1;
  int first = box.open(count);
  sink = 2;
  return first + box.open(count + 1);
}
__attribute__((noinline)) int hidden(int a) {
  sink = a;
  return a + sink;
}
} // namespace
template <int rounds> __attribute__((noinline)) int fill(const Box<int> &box) {
  int total = 0;
  for (int at = 0; at < rounds; at++) total += reopen(box, at);
  return total + hidden(total);
}
class Keeper {
public:
  virtual int go(int a);
  static int still(int a) { return a ^ 5; }
  int operator()(int a) {
    sink = a;
    return still(a);
  }
};
int Keeper::go(int a) {
  auto add = [&](int b) {
    sink = b;
    return b + a;
  };
  return add(a) + (*this)(a);
}
int run() {
  Keeper keeper;
  auto lambda = [](int a) __attribute__((noinline)) {
    sink = a;
    return a;
  };
  return fill<3>({42}) + keeper.go(3) + lambda(4) + fill<7>({1});
}
} // namespace store_${index}`,
  );
  const calls = parts.map((_, index) => `store_${index}::run()`).join(' + ');
  return `volatile int sink;\n${parts.join('\n')}\nint main() { return ${calls}; }\n`;
}

/**
 * Builds a program twice: with a PDB, and with DWARF. The code is the same.
 *
 * @param {string} name
 * @param {string} source
 * @param {string} level `-O0` to `-O3`
 */
function build(name, source, level) {
  const path = join(scratch, name);
  writeFileSync(path, source);
  const made = (/** @type {string} */ extension) => `${path}${level}${extension}`;
  for (const [format, link] of [
    ['codeview', '/debug'],
    ['dwarf-4', '/debug:dwarf'],
  ]) {
    const object = made(`-${format}.obj`);
    const common = ['--target=x86_64-pc-windows-msvc', level, '-g', `-g${format}`, '-fno-rtti', '-ffunction-sections'];
    const ran = [
      spawnSync('clang', [...common, '-c', path, '-o', object], { encoding: 'utf8' }),
      spawnSync(
        'lld-link',
        ['/nodefaultlib', '/entry:main', '/subsystem:console', link ?? '', `/out:${made(`-${format}.exe`)}`, object],
        { encoding: 'utf8' },
      ),
    ];
    for (const { status, stderr } of ran) assert.equal(status, 0, stderr);
  }
  return { program: made('-codeview.exe'), pdb: made('-codeview.pdb'), twin: made('-dwarf-4.exe') };
}

const programs = /** @type {const} */ ([
  ['program.c', writeC(60), '-O0'],
  ['program.c', writeC(60), '-O2'],
  ['program.cpp', writeCpp(16), '-O0'],
  ['program.cpp', writeCpp(16), '-O1'],
  ['program.cpp', writeCpp(16), '-O2'],
]);

describe('a PDB', { skip: hasClang ? false : 'clang and lld are not there to build one' }, () => {
  for (const [name, source, level] of programs) {
    test(`of ${name} at ${level} has the functions, inlined functions and lines that LLVM finds`, () => {
      const { program, pdb, twin } = build(name, source, level);
      const { addresses } = readCode(program);
      const file = PdbFile.fromDescriptor(openSync(pdb, 'r'));
      assert.ok(file);
      const found = addresses.map((rva) => file.find(rva));
      const named = found.filter((each) => each !== undefined).length;
      assert.ok(named > 0.8 * addresses.length && named > 5_000, `${named} of ${addresses.length} have a name`);
      compareWithDwarf(addresses, found, twin);
      if (hasSymbolizer()) compareWithSymbolizer(addresses, found, program);
    });
  }

  test(`that is damaged in one of ${DAMAGED_FILES} ways gives names or none, in bounded memory`, () => {
    const { program, pdb } = build('program.cpp', writeCpp(2), '-O1');
    const whole = readFileSync(pdb);
    const { addresses } = readCode(program);
    const asked = addresses.filter((_, index) => index % 29 === 0);
    const random = randomNumbers(42);
    let opened = 0;
    let answered = 0;
    let kept = 0;
    for (let round = 0; round < DAMAGED_FILES; round++) {
      const bytes = Buffer.from(whole);
      damage(bytes, round, random);
      const budget = new MemoryBudget();
      const file = PdbFile.fromBytes(round % 10 === 9 ? bytes.subarray(0, random(bytes.length)) : bytes, budget);
      if (file === undefined) continue;
      opened++;
      for (const rva of asked) {
        if (file.find(rva) !== undefined) answered++;
        file.publicAt(rva);
        file.lineOf(rva);
      }
      kept = Math.max(kept, SYMBOL_MEMORY_SIZE_BYTES - budget.leftBytes);
    }
    assert.ok(opened > DAMAGED_FILES / 10 && opened < DAMAGED_FILES, `${opened} were opened`);
    assert.ok(answered > 0);
    assert.ok(kept < KEPT_FACTOR_MAX * whole.length, `${kept} bytes kept`);
  });
});

/**
 * Changes bits of the whole file, many bytes of it, or many bytes of one page, which may be that of a directory or of
 * a header of a stream.
 *
 * @param {Buffer} bytes
 * @param {number} round
 * @param {(below: number) => number} random
 */
function damage(bytes, round, random) {
  const page = random(Math.floor(bytes.length / 4096)) * 4096;
  const flips = [1, 30, 2000][round % 3] ?? 1;
  for (let count = 0; count < flips; count++) {
    const at = round % 2 === 0 ? random(bytes.length) : page + random(Math.min(4096, bytes.length - page));
    if (round % 5 === 0) bytes.writeUInt8(0xff, at);
    else bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random(8)), at);
  }
}

/** The same in every run. @param {number} seed */
function randomNumbers(seed) {
  let state = seed;
  return (/** @type {number} */ below) => (state = (state * 48_271) % 2_147_483_647) % below;
}

/**
 * The same functions, and the same lines of inlined functions wherever DWARF has one. LLVM leaves the arguments of
 * templates out of the names of functions that were inlined, and DWARF has no name for a lambda.
 *
 * @param {readonly number[]} addresses
 * @param {readonly (PdbFunction | undefined)[]} found
 * @param {string} twin
 */
function compareWithDwarf(addresses, found, twin) {
  const dwarf = ExecutableFile.fromDescriptor(openSync(twin, 'r'));
  assert.ok(dwarf);
  const spell = (/** @type {string} */ name) => name.replace(/<lambda_\d+>/g, '(anonymous)');
  let compared = 0;
  for (const [index, rva] of addresses.entries()) {
    const own = found[index];
    const other = dwarf.dwarfFunctionOf(rva);
    assert.equal(own === undefined, other === undefined, `0x${rva.toString(16)}`);
    if (own === undefined || other === undefined) continue;
    assert.equal(spell(own.name), other.name);
    /** @type {(SourceLine | undefined)[]} */
    const lines = [dwarf.lineOf(rva), ...other.inlined.map(({ call }) => call)];
    // DWARF knows which instructions have no line; a PDB says the line before instead.
    if (lines.some((line) => line === undefined) || own.inlined.length !== other.inlined.length) continue;
    const place = `${twin} 0x${rva.toString(16)}`;
    assert.deepEqual(
      own.inlined.map(({ name }) => spell(name)),
      other.inlined.map(({ name }) => name.replace(/<.*?>(?=$)/, '')),
      place,
    );
    assert.deepEqual(
      own.inlined.map(({ line }) => line?.line),
      lines.slice(0, -1).map((line) => line?.line),
      place,
    );
    compared++;
  }
  assert.ok(compared > 0.8 * addresses.length, `${compared} of ${addresses.length} compared`);
}

/**
 * The same functions, inlined ones too, and the same lines of the function around them. Lines in inlined functions are
 * compared with DWARF only: llvm-symbolizer 14 tells the next one.
 *
 * @param {readonly number[]} addresses
 * @param {readonly (PdbFunction | undefined)[]} found
 * @param {string} program
 */
function compareWithSymbolizer(addresses, found, program) {
  const theirs = askSymbolizer(program, addresses);
  for (const [index, rva] of addresses.entries()) {
    const own = found[index];
    const other = theirs[index];
    assert.ok(other, `llvm-symbolizer crashed at 0x${rva.toString(16)}`);
    const names = own === undefined ? [] : [...own.inlined.map(({ name }) => name), own.name];
    assert.deepEqual(
      names,
      other.map(({ name }) => name.replaceAll("`anonymous namespace'", '(anonymous namespace)')),
      `${program} 0x${rva.toString(16)}`,
    );
    // At the very first byte of code llvm-symbolizer tells the first of several lines; behind it the last, as we do.
    const lines = [other, theirs[index + 1]].map((places) => places?.at(-1)?.line);
    assert.ok(lines.includes(own?.line?.line), `${program} 0x${rva.toString(16)}: ${own?.line?.line}, not ${lines}`);
    assert.equal(own?.line?.file, other.at(-1)?.file);
  }
}
