// Every benchmark, with its smallest sizes, runs to its end and prints its figures. Their values do not matter here.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';

import { root } from '../../../scripts/setup.js';
import { makeHome } from './own-home.js';

/**
 * Lines that each benchmark prints, among others, in this order. A list stands for any one of its lines. `#` is a
 * figure: a number, or a median with the lowest and the highest.
 *
 * @type {Record<string, readonly (string | readonly string[])[]>}
 */
const printed = {
  accuracy: [
    '| `leak` | 2 | 0 | 0 | 2 | 100 % | 100 % | 0 |',
    '| **all** | 2 | 0 | 0 | 2 | 100 % | 100 % | 0 |',
    '| straight | 1/1 |  |  |  |  |  |  |  |  |  |  |',
    '| event | 2/2 |  |  |  |  |  |  |  |  |  |  |',
    '4 programs in # s; one audit takes # ms.',
  ],
  'bench:attach': [
    '8 threads that rest: stands still for # ms at the first attach, # ms at later ones (aim: 50)',
    '8 threads that work without pause: stands still for # ms at the first attach, # ms at later ones',
    '40 threads that rest: stands still for # ms at the first attach, # ms at later ones',
  ],
  stress: [
    '3 cycles: 3 reports right; the target made # rounds and ended with 0',
    '  stood still for # ms; # MB committed after the first cycle, # MB after the last; # handles',
    '  left behind: 0 processes, 0 named objects, 0 files',
    '2 auditors killed while attached: the target went on 2 times, and ended with 0; a later attach was right',
    '2 auditors killed while they ran a program: it was not started # times, it never began # times, it ended right # times; # later attaches were right',
    '2 auditors killed while they ran a tree: it was not started # times, it never began # times, it ended right # times; # later attaches to a child were right',
    '1 kills under run: 1 reports right; one takes # ms',
    '1 kills under attach: 1 reports right; one takes # ms',
    '1 crashes under run: 1 reports right; one takes # ms',
    '1 crashes under attach: 1 reports right; one takes # ms',
    '1 exits under run: 1 reports right; one takes # ms',
    '1 exits under attach: 1 reports right; one takes # ms',
    '8 cases of damage in # targets: # reports, # errors, 0 wrong; one takes # ms, # more than ten seconds; peak # MB (aim: below 1000)',
    '40 threads: 3 of 3 reports right; the target made # rounds and ended with 0; it stood still for # ms; an attach of 3000 ms took # ms; peak # MB',
    'DLLs come and go: 1 of 1 reports right; the target made # rounds and ended with 0; it stood still for # ms; an attach of 1000 ms took # ms; peak # MB',
    'ntdll hooked before: 1 of 1 reports right; the target made # rounds and ended with 0; it stood still for # ms; an attach of 500 ms took # ms; peak # MB',
    'ntdll hooked while attached: 1 of 1 reports right; the target made # rounds and ended with 0; it stood still for # ms; an attach of 1000 ms took # ms; peak # MB',
    '2,000 handles: 3 of 3 reports right; the target made # rounds and ended with 0; it stood still for # ms; an attach of 3000 ms took # ms; peak # MB',
    '  left behind: 0 processes, 0 named objects, 0 files',
  ],
  'bench:tree': [
    '8 children, 8 at a time: alone # ms, first process recorded # ms, all recorded # ms',
    '  ratio #; # ms more for each child (aim: 15)',
    '  8 at a time: peak # MB (aim: below 300)',
  ],
  'bench:diff': [
    'unclosed --version: Node.js alone # ms, tool # ms, ratio #',
    '2 × 1,000 handles, identical: parsed only # ms, diff # ms, ratio #',
    '  0.2 MB, 0 opened, 0 closed, 0 recycled, 0 kinds',
    '2 × 1,000 handles, 1 % opened, 1 % closed, 1 % recycled: parsed only # ms, diff # ms, ratio #',
    '  0.2 MB, 15 opened, 15 closed, 4 recycled, 4 kinds',
    '2 × 1,000 handles, 10 % opened, 10 % recycled: parsed only # ms, diff # ms, ratio #',
    '  0.2 MB, 191 opened, 191 closed, 91 recycled, 4 kinds',
    '2 × 1,000 handles, every value recycled: parsed only # ms, diff # ms, ratio #',
    '  0.2 MB, 1000 opened, 1000 closed, 1000 recycled, 4 kinds',
  ],
  'bench:overhead': [
    'The recorder alone, nanoseconds a call, the lowest of 2',
    ...['# frames, 1 thread', '# frames, 1 thread', '# frames, 1 thread', '# frames, 2 threads'].flatMap((stacks) => [
      `stacks of ${stacks}: # (a call alone #); ratio #`,
      '  # of 42,000 walks by the unwinder',
    ]),
    'CreateEvent and CloseHandle, microseconds a pair',
    '1 thread: alone #, recorded #, ratio #',
    '4 threads: alone #, recorded #, ratio #',
  ],
  'bench:js': [
    'bundled 1 times: alone # ms, run # ms, run --js # ms',
    '  run --js / run = # (aim: at most 1.15)',
    '  run --js / alone = #',
  ],
  'bench:judgement': ['8 refusals: # ms', '64 refusals: # ms, ratio #'],
  'bench:handles': [
    '1,000 handles without names: Node.js alone # ms, C # ms, tool # ms',
    '  tool / (C + Node.js alone) = # (aim: at most 1.5)',
    '  the same 1,000 lines of events from both: yes',
    '1,000 handles with names: Node.js alone # ms, C # ms, tool # ms',
    '  tool / C = # (aim: at most 1.2)',
    '  the same 1,000 lines of events from both: yes',
    '2,000 handles --count-only: peak # MB (aim: below 300), # times Node.js alone',
    '  # ms, # times Node.js alone; # bytes',
    '2,000 handles --csv --no-names: peak # MB (aim: below 300), # times Node.js alone',
    '  # ms, # times Node.js alone; # bytes',
  ],
  'bench:reporters': [
    '50 findings of 50 frames each (aims: below 5 s, below 1000 MB)',
    ...['table', 'json', 'ndjson', 'csv', 'sarif', 'junit', 'github', 'gitlab', 'markdown', 'folded', 'suppressions'],
  ].flatMap((each, index) => (index === 0 ? [each] : [`${each}: # s, # s of processors, peak # MB`, '  # MB written'])),
  'bench:scale': [
    '1,000 leaked handles: judged and reported in # s (aim: 5), # times Node.js alone',
    '  the program # ms alone, # ms audited, ratio #',
    '  1,000 reported, peak # MB',
    '2,000 leaked handles: judged and reported in # s (aim: 30), # times Node.js alone',
    '  the program # ms alone, # ms audited, ratio #',
    '  2,000 reported, peak # MB',
    "1,000 opens and closes: peak # MB, the auditor's processor time # s",
    '  the program # ms alone, # ms audited, ratio #',
    "20,000 opens and closes: peak # MB, the auditor's processor time # s",
    '  the program # ms alone, # ms audited, ratio #',
    // The second line comes when the program ends before the auditor was measured twice.
    [
      '  in its second half the auditor takes # % of a core (aim: under 1)',
      '  in its second half there was no time to look twice',
    ],
  ],
  'bench:start': [
    'from the shell: Node.js alone # ms, unclosed run # ms, ratio #',
    '  difference # ms (aim: at most 150)',
    'in Windows: Node.js alone # ms, unclosed run # ms, ratio #',
    '  difference # ms (aim: at most 150)',
  ],
  'bench:pdb': [
    [
      '200 functions, a PDB of # MB: first address # s (aim: 1)',
      'left out: clang and lld are not there to build a program',
    ],
  ],
  'bench:symbols': [
    "# addresses of all of Node.js' modules: # s (aim: under 3), # times Node.js alone; # with a name, # with a line",
    '100 addresses of a program with DWARF: # s (aim: under 3), # times Node.js alone; # with a name, # with a line',
    [
      '100 addresses of a program with a PDB: # s (aim: under 3), # times Node.js alone; # with a name, # with a line',
      'a program with a PDB is left out: clang and lld are not there to build one',
    ],
  ],
};

/** @type {{ scripts: Record<string, string> }} */
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const benchmarks = new Map(
  Object.entries(scripts).flatMap(([name, command]) => {
    const file = /^node (bench\/\S+)$/.exec(command)?.[1];
    return file === undefined ? [] : [[name, file]];
  }),
);

/** @param {string} line */
function toPattern(line) {
  const number = String.raw`-?\d[\d,]*(?:\.\d+)?`;
  return `${line.replaceAll(/[.*+?^${}()|[\]\\/]/g, String.raw`\$&`).replaceAll('#', String.raw`${number}(?: \(${number} to ${number}\))?`)}\n`;
}

describe('a benchmark', () => {
  const home = makeHome();

  /**
   * @param {string} file
   * @param {readonly string[]} args
   */
  function runBenchmark(file, args) {
    const env = { ...process.env, UNCLOSED_HOME: home };
    return spawnSync(process.execPath, [join(root, file), ...args], { cwd: root, encoding: 'utf8', env });
  }

  it('has its lines here, whichever it is', () => {
    assert.deepEqual([...benchmarks.keys()].sort(), Object.keys(printed).sort());
    assert.deepEqual(
      Object.keys(scripts).filter((name) => name.startsWith('bench:') && !benchmarks.has(name)),
      [],
    );
  });

  for (const [name, lines] of Object.entries(printed)) {
    it(`runs to its end and prints its figures: ${name}`, () => {
      const { status, stdout, stderr } = runBenchmark(benchmarks.get(name) ?? name, ['--smoke']);
      assert.equal(status, 0, `${stdout}${stderr}`);
      assert.doesNotMatch(stdout, /NaN|Infinity|undefined/);
      let rest = stdout.replaceAll('\r\n', '\n');
      for (const line of lines.map((each) => [each].flat())) {
        const found = new RegExp(`^(?:${line.map(toPattern).join('|')})`, 'm').exec(rest);
        assert.ok(found !== null, `"${line.join('" or "')}" is not in what comes next:\n${rest}`);
        rest = rest.slice(found.index + found[0].length);
      }
    });
  }

  for (const { name = 'bench:start', args, says } of [
    {
      name: 'accuracy',
      args: ['nope'],
      says: 'Cannot audit nope: no program of the matrix has that in its name. Try leak-event.',
    },
    { args: ['--nope'], says: "Unknown option '--nope'. Try --smoke, --stages, --rounds 21." },
    {
      name: 'stress',
      args: ['--only', 'nope'],
      says: '"nope" is no scenario. Try attach-cycles, attach-kills, run-kills, tree-kills, endings, scribbles, threads, loads, hooks, handles.',
    },
    { args: ['--rounds', 'many'], says: '"many" is no number for --rounds. Try --smoke, --stages, --rounds 21.' },
  ]) {
    it(`refuses ${args.join(' ')} before it measures anything: ${name}`, () => {
      const { status, stdout, stderr } = runBenchmark(benchmarks.get(name) ?? name, args);
      assert.deepEqual({ status, stdout, stderr }, { status: 2, stdout: '', stderr: `unclosed: ${says}\n` });
    });
  }
});
