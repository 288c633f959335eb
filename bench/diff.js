// `npm run bench:diff`: measures how long `unclosed diff` takes for two snapshots of a million handles each, as a whole
// process, and compares it with a Node.js that only parses both files.
import { closeSync, openSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import {
  measureByTurns,
  ratios,
  run,
  runBenchmark,
  say,
  spell,
  spellCount,
  startNode,
  tool,
  withDirectory,
} from './measure.js';

/** @param {number} index */
const value = (index) => `0x${((index + 1) * 4).toString(16)}`;
/** @param {number} index */
const unnamed = (index) => `{"value":"${value(index)}","type":"Event","access":"0x1f0003"}`;
/**
 * Most objects have no name, as in a real table. A third are files and keys with long names. @param {number} index
 * @param {string} mark
 */
const mixed = (index, mark = '') =>
  index % 3 === 0
    ? `{"value":"${value(index)}","type":"File","access":"0x120089","name":"C:\\\\ProgramData\\\\service\\\\logs\\\\${mark}request-${index}.log"}`
    : index % 7 === 0
      ? `{"value":"${value(index)}","type":"Key","access":"0x20019","name":"HKLM\\\\Software\\\\Service\\\\Item${index}"}`
      : unnamed(index);

/**
 * @type {readonly { name: string, before: (index: number) => string | undefined, after: (index: number) => string |
 * undefined }[]}
 */
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
    after: (index) =>
      index % 10 === 2 ? mixed(index, 'new-').replace('"access":"0x1f0003"', '"access":"0x100000"') : mixed(index),
  },
  {
    name: 'every value recycled',
    before: (index) => mixed(index),
    after: (index) =>
      mixed(index, 'new-')
        .replace('"access":"0x1f0003"', '"access":"0x100000"')
        .replace('"access":"0x20019"', '"access":"0xf003f"'),
  },
];

const parse = `for (const file of process.argv.slice(1)) JSON.parse(require('node:fs').readFileSync(file, 'utf8'))`;

await runBenchmark(import.meta.url, {
  sizes: { rounds: { full: 5, smoke: 1 }, handles: { full: 1_000_000, smoke: 1000 } },
  programs: () => [],
  async inWindows({ rounds, handles }) {
    await withDirectory(async (directory) => {
      const { node, start } = await measureByTurns(rounds, {
        node: startNode,
        start: () => runTool(['--version']).tookMs,
      });
      say(
        `unclosed --version: Node.js alone ${spell(node, 0)} ms, tool ${spell(start, 0)} ms, ratio ${spell(ratios(start, node), 2)}`,
      );
      const files = [join(directory, 'before.json'), join(directory, 'after.json')];
      for (const { name, before, after } of cases) {
        for (const [index, file] of files.entries()) generate(file, handles, index === 0 ? before : after);
        const { parsed, diffed } = await measureByTurns(rounds, {
          parsed: () => run(process.execPath, ['-e', parse, ...files]).tookMs,
          diffed: () => runTool(['diff', '--json', ...files]),
        });
        const ms = diffed.map(({ tookMs }) => tookMs);
        const { opened, closed, recycled, kinds } = JSON.parse(diffed[0]?.stdout ?? '');
        const sizeMB = files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e6;
        say(
          `2 × ${spellCount(handles)} handles, ${name}: parsed only ${spell(parsed, 0)} ms, diff ${spell(ms, 0)} ms, ratio ${spell(ratios(ms, parsed), 2)}`,
        );
        say(
          `  ${sizeMB.toFixed(1)} MB, ${opened} opened, ${closed} closed, ${recycled} recycled, ${kinds.length} kinds`,
        );
      }
    });
  },
});

/** @param {readonly string[]} args */
function runTool(args) {
  return run(process.execPath, [tool, ...args]);
}

/**
 * @param {string} file
 * @param {number} handles
 * @param {(index: number) => string | undefined} line
 */
function generate(file, handles, line) {
  const descriptor = openSync(file, 'w');
  writeSync(
    descriptor,
    '{"kind":"unclosed snapshot","schemaVersion":1,"tool":"bench","host":"BENCH","taken":"2026-01-01T00:00:00.000Z","processes":[\n',
  );
  writeSync(descriptor, '{"pid":1234,"image":"app.exe","started":"2026-01-01T00:00:00.0000000Z","handles":[\n');
  let count = 0;
  let index = 0;
  let text = '';
  for (; count < handles; index += 1) {
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
