import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, test } from 'vitest';

import { FileBytes } from '../../../../src/symbols/v8/log-bytes.ts';
import { MemoryBudget } from '../../../../src/symbols/memory-budget.ts';
import { CodeLog } from '../../../../src/symbols/v8/code-log.ts';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-v8-log-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const SOURCE = 'function open(path) {\\n  return openSync(path);\\n}\\nopen(1);\\n';
const CALL = SOURCE.replaceAll('\\n', '\n').indexOf('openSync(');
const OUTER = SOURCE.replaceAll('\\n', '\n').indexOf('open(1)');
const URL = 'Z:\\\\src\\\\leak.cjs';

/** As V8 22 writes them: an entry to the interpreter, its bytecode, and code of a compiler into which `inner` went. */
const LINES = [
  'v8-version,12,4,254,21,-node.57,0',
  `script-source,80,${URL},${SOURCE}`,
  'code-creation,Builtin,2,10,0x9000,256,ArrayForEach',
  'code-creation,Builtin,2,11,0x9100,64,InterpreterEnterAtNextBytecode',
  `code-creation,JS,2,100,0x1000,888,open ${URL}:1:14,0xaa01,~`,
  'code-source-info,0x1000,80,13,50,,,',
  `code-creation,JS,9,110,0x7000000,20,open ${URL}:1:14,0xaa01,~`,
  `code-source-info,0x7000000,80,13,50,C0O24C6O${CALL}C12O50,,`,
  `code-creation,JS,2,120,0x1400,888,inner\\x2C b ${URL}:1:14,0xaa02,~`,
  'code-source-info,0x1400,80,13,50,,,',
  `code-creation,JS,4,200,0x4000,512,outer ${URL}:4:1,0xaa03,*`,
  `code-source-info,0x4000,80,0,60,C16O${OUTER}C64O${CALL}I0C128O${OUTER},F0O${OUTER},S0xaa02`,
];

let count = 0;
function read(lines: readonly string[], budget = new MemoryBudget()): CodeLog {
  const path = join(directory, `${(count += 1)}.log`);
  writeFileSync(path, `${lines.join('\n')}\n`);
  return new CodeLog(new FileBytes(path), budget);
}

const spell = (log: CodeLog, address: number, timeUs?: number, bytecode?: number): readonly string[] =>
  log.find(address, timeUs, bytecode).map(({ kind, name, script, place }) => {
    const where = place === undefined ? '' : ` ${script?.url}:${place.line}:${place.column}`;
    return `${kind} ${name}${where}`;
  });

describe('a return address', () => {
  test.each<[where: string, address: number, bytecode: number | undefined, found: readonly string[]]>([
    ['in an interpreted function is the call at its bytecode', 0x10de, 6, ['script open Z:\\src\\leak.cjs:2:10']],
    ['between two bytecodes is that of the first', 0x10de, 11, ['script open Z:\\src\\leak.cjs:2:10']],
    ['without a bytecode is the function’s beginning', 0x10de, undefined, ['script open Z:\\src\\leak.cjs:1:14']],
    ['in compiled code is the place before it', 0x4020, undefined, ['script outer Z:\\src\\leak.cjs:4:1']],
    [
      'in a function that was inlined has both, the inner one first',
      0x4050,
      undefined,
      ['script inner, b Z:\\src\\leak.cjs:2:10', 'script outer Z:\\src\\leak.cjs:4:1'],
    ],
    ['just behind a call that ends the code belongs to it', 0x4200, undefined, ['script outer Z:\\src\\leak.cjs:4:1']],
    ['in a builtin has its name', 0x9010, undefined, ['builtin ArrayForEach']],
    ['in a function that goes on where V8 threw its code away', 0x9100, undefined, ['script (deoptimised)']],
    ['in no code has none', 0x5000, undefined, []],
  ])('%s', (_where, address, bytecode, found) => {
    using log = read(LINES);
    expect(spell(log, address, undefined, bytecode)).toEqual(found);
  });
});

describe('code that lay at one address', () => {
  const later = [
    ...LINES,
    `code-creation,JS,2,900,0x1000,888,later ${URL}:1:14,0xaa09,~`,
    'code-source-info,0x1000,80,13,50,,,',
  ];

  test.each([
    ['before the other was made', 500, 'open'],
    ['afterwards', 1000, 'later'],
    ['at a time that is not known, last', undefined, 'later'],
    ['before any of them, first', 1, 'open'],
  ])('is told by the time of the call: %s', (_when, time, name) => {
    using log = read(later);
    expect(log.find(0x10de, time)[0]?.name).toBe(name);
  });

  test('is found where it was moved to', () => {
    using log = read([...LINES, 'code-move,0x1000,0x20000']);
    expect(spell(log, 0x200de, undefined, 6)).toEqual(['script open Z:\\src\\leak.cjs:2:10']);
  });
});

test('a log that is cut in the midst of a line has all the lines before', () => {
  const path = join(directory, 'cut.log');
  const text = LINES.join('\n');
  writeFileSync(path, text.slice(0, text.length - 10));
  using log = new CodeLog(new FileBytes(path), new MemoryBudget());
  expect(spell(log, 0x10de, undefined, 6)).toEqual(['script open Z:\\src\\leak.cjs:2:10']);
});

test('a log that is larger than the memory for it is read as far as that goes', () => {
  using log = read(LINES, new MemoryBudget(2000));
  expect(log.codeCount).toBeGreaterThan(0);
  expect(log.codeCount).toBeLessThan(4);
});

test('a thousand damaged logs give names or none, and end', () => {
  let seed = 7;
  const random = (below: number): number => (seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff) % below;
  const odd = ['', '-1', '1e999', '0xffffffffffffffff', 'NaN', '9'.repeat(400), '\\u', ',', '\0', 'I0I0', 'F0O1I0'];
  let named = 0;
  for (let round = 0; round < 1000; round++) {
    const lines = LINES.map((line) => line.split(','));
    for (let change = 0; change <= round % 7; change++) {
      const fields = lines[random(lines.length)]!;
      fields[random(fields.length)] = odd[random(odd.length)]!;
    }
    if (round % 5 === 0) lines.reverse();
    using log = read(lines.map((fields) => fields.join(',')));
    for (const address of [0x10de, 0x14de, 0x4050, 0x9010, 0, 2 ** 53])
      for (const { name, script, place } of log.find(address, random(1000), random(20))) {
        named += 1;
        expect(typeof name).toBe('string');
        if (place !== undefined) expect(place.line).toBeLessThanOrEqual((script?.source.split('\n').length ?? 0) + 1);
      }
  }
  expect(named).toBeGreaterThan(1000);
});
