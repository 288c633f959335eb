// `npm run bench:diff`: how long `unclosed diff` takes for two snapshots of a million handles each, as whole processes.
//
// Prints figures and asserts nothing; the tool's bare start is printed beside them.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const HANDLES = 1_000_000;
const ROUNDS = 5;
const tool = fileURLToPath(new URL('../bin/unclosed.cjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'unclosed-bench-'));

/**
 * @typedef {object} Generation
 * @property {string} name
 * @property {(index: number) => string | undefined} line the handle at an index; undefined: there is none
 */

/** @param {number} index */
const value = (index) => `0x${((index + 1) * 4).toString(16)}`;
/** @param {number} index */
const unnamed = (index) => `{"value":"${value(index)}","type":"Event","access":"0x1f0003"}`;
/** Most objects have no name, as in a real table; a third are files and keys with long ones. @param {number} index @param {string} mark */
const mixed = (index, mark = '') =>
  index % 3 === 0
    ? `{"value":"${value(index)}","type":"File","access":"0x120089","name":"C:\\\\ProgramData\\\\service\\\\logs\\\\${mark}request-${index}.log"}`
    : index % 7 === 0
      ? `{"value":"${value(index)}","type":"Key","access":"0x20019","name":"HKLM\\\\Software\\\\Service\\\\Item${index}"}`
      : unnamed(index);

/** @type {readonly { name: string, before: (index: number) => string | undefined, after: (index: number) => string | undefined }[]} */
const cases = [
  { name: 'identical', before: (index) => mixed(index), after: (index) => mixed(index) },
  {
    name: '1 % opened, 1 % closed, 1 % recycled',
    before: (index) => (index % 100 === 1 ? undefined : mixed(index)),
    after: (index) => (index % 100 === 2 ? undefined : index % 100 === 3 ? mixed(index, 'new-') : mixed(index)),
  },
  {
    name: '10 % opened, 10 % recycled',
    before: (index) => (index % 10 === 1 ? undefined : mixed(index)),
    after: (index) => (index % 10 === 2 ? mixed(index, 'new-').replace('"access":"0x1f0003"', '"access":"0x100000"') : mixed(index)),
  },
  {
    name: 'every value recycled',
    before: (index) => mixed(index),
    after: (index) => mixed(index, 'new-').replace('"access":"0x1f0003"', '"access":"0x100000"').replace('"access":"0x20019"', '"access":"0xf003f"'),
  },
];

/**
 * @param {string} file
 * @param {(index: number) => string | undefined} line
 */
function generate(file, line) {
  const descriptor = openSync(file, 'w');
  writeSync(descriptor, '{"kind":"unclosed snapshot","schemaVersion":1,"tool":"bench","host":"BENCH","taken":"2026-01-01T00:00:00.000Z","processes":[\n');
  writeSync(descriptor, '{"pid":1234,"image":"app.exe","started":"2026-01-01T00:00:00.0000000Z","handles":[\n');
  let count = 0;
  let index = 0;
  let text = '';
  for (; count < HANDLES; index += 1) {
    const handle = line(index);
    if (handle === undefined) continue;
    text += `${count === 0 ? '' : ',\n'}${handle}`;
    count += 1;
    if (text.length > 1 << 22) {
      writeSync(descriptor, text);
      text = '';
    }
  }
  writeSync(descriptor, `${text}\n]}\n],"handleCount":${count},"namesMissing":0}\n`);
  closeSync(descriptor);
}

/** @param {readonly string[]} args @returns {{ seconds: number, stdout: string }} */
function time(args) {
  const start = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, [tool, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (status !== 0) throw new Error(`exit code ${status}: ${stderr}`);
  return { seconds: (performance.now() - start) / 1000, stdout };
}

/** @param {readonly number[]} numbers */
const median = (numbers) => [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
/** @param {readonly number[]} numbers */
const spell = (numbers) => `${median(numbers).toFixed(2)} s (${Math.min(...numbers).toFixed(2)} to ${Math.max(...numbers).toFixed(2)})`;

try {
  const starts = Array.from({ length: ROUNDS }, () => time(['--version']).seconds);
  process.stdout.write(`bare start of the tool: ${spell(starts)}\n`);
  for (const { name, before, after } of cases) {
    const [a, b] = [join(directory, 'before.json'), join(directory, 'after.json')];
    generate(a, before);
    generate(b, after);
    const runs = Array.from({ length: ROUNDS }, () => time(['diff', '--json', a, b]));
    const { opened, closed, recycled, kinds } = JSON.parse(runs[0]?.stdout ?? '');
    const sizeMegabytes = ((statSync(a).size + statSync(b).size) / 1e6).toFixed(0);
    process.stdout.write(
      `2 × ${HANDLES} handles, ${name}: ${spell(runs.map(({ seconds }) => seconds))}; ${sizeMegabytes} MB, ${opened} opened, ${closed} closed, ${recycled} recycled, ${kinds.length} kinds\n`,
    );
  }
} finally {
  rmSync(directory, { recursive: true });
}
