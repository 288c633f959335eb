// Programs that cannot be run: one line says which, why and what to try; exit code 2; nothing on stdout; nothing left.
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { cacheDirectory } from '../../../launcher/cache.js';
import { auditScript, findProcesses, fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const cwd = makeDirectory();
const leaky = join(fixtures, 'leaks-event.exe');

describe('a refusal', { skip }, () => {
  before(() => {
    const program = readFileSync(leaky);
    mkdirSync(join(cwd, 'directory'));
    mkdirSync(join(cwd, 'directory.exe'));
    writeFileSync(join(cwd, 'text.txt'), 'text\n');
    writeFileSync(join(cwd, 'empty.exe'), '');
    writeFileSync(join(cwd, 'header.exe'), program.subarray(0, 0x80));
    writeFileSync(join(cwd, 'half.exe'), program.subarray(0, program.length / 2));
    const damaged = Buffer.from(program);
    damaged.fill(0xff, damaged.readUInt32LE(0x3c) + 24, damaged.readUInt32LE(0x3c) + 24 + 0x40); // its optional header
    writeFileSync(join(cwd, 'damaged.exe'), damaged);
    const arm = Buffer.from(program);
    arm.writeUInt16LE(0xaa64, arm.readUInt32LE(0x3c) + 4); // its machine
    writeFileSync(join(cwd, 'arm.exe'), arm);
    copyFileSync(join(fixtures, 'program-32-bit.exe'), join(cwd, 'old.exe'));
    copyFileSync(join(fixtures, 'leaky-library.dll'), join(cwd, 'library.dll'));
  });

  /** Arguments of `unclosed`, and the line that they get. */
  const cases = /** @type {[string, RegExp][]} */ ([
    [
      'run -- nowhere.exe',
      /^Cannot run "nowhere\.exe": there is no such file\. Try its whole path: it is neither here nor on the PATH\.$/,
    ],
    ['run -- ./no/where.exe', /^Cannot run "\.\/no\/where\.exe": there is no such file\. Try another spelling\.$/],
    ["run -- ''", /^Cannot run "": there is no such file\. Try /],
    ['run -- directory', /^Cannot run "directory": it is a directory\. Try the program in it\.$/],
    ['run -- directory.exe', /^Cannot run "directory\.exe": it is a directory\. Try /],
    [
      'run -- text.txt',
      /^Cannot run ".*\\text\.txt": it is not a Windows program\. Try an \.exe; for a script name its interpreter first\.$/,
    ],
    ['run -- empty.exe', /^Cannot run ".*\\empty\.exe": it is not a Windows program\. Try /],
    ['run -- header.exe', /^Cannot run ".*\\header\.exe": it is not a Windows program\. Try /],
    ['run -- half.exe', /^Cannot run ".*\\half\.exe": its end is missing\. Try another copy of it\.$/],
    ['run -- library.dll', /^Cannot run ".*\\library\.dll": it is a DLL\. Try the program that loads it\.$/],
    [
      'run -- old.exe',
      /^Cannot run ".*\\old\.exe": it is a 32-bit program, which is not audited yet\. Try a 64-bit build of it\.$/,
    ],
    [
      'run -- arm.exe',
      /^Cannot run ".*\\arm\.exe": it is an ARM64 program, which is not audited yet\. Try an x64 build of it\.$/,
    ],
    ['run', /^Missing required argument 'program'\. Try unclosed run --help\.$/],
    ['run --json', /^Missing required argument 'program'\. Try unclosed run --help\.$/],
    ['run --jsno -- x.exe', /^Unknown option '--jsno'\. Try --json\.$/],
    ['run --nonsense -- x.exe', /^Unknown option '--nonsense'\. Try unclosed run --help\.$/],
    ['nonsense', /^Unknown command 'nonsense'\. Try unclosed --help\.$/],
    [
      'run --max-handles many -- x.exe',
      /^Option '--max-handles <count>' argument 'many' is invalid\. A whole number from 1024 to 16777216 is needed\. Try /,
    ],
    ['run --max-handles 1023 -- x.exe', /^Option '--max-handles <count>' argument '1023' is invalid\. /],
    ['run --max-handles -1 -- x.exe', /^Option '--max-handles <count>' argument '-1' is invalid\. /],
    ['run --max-handles 1e99 -- x.exe', /^Option '--max-handles <count>' argument '1e99' is invalid\. /],
    ['run --max-handles', /^Option '--max-handles <count>' argument missing\. Try /],
    [
      'run --fail-on fire -- x.exe',
      /^Option '--fail-on <level>' argument 'fire' is invalid\. Allowed choices are error, warning, note, never\. Try /,
    ],
    [
      'run --reporter xml -- x.exe',
      /^Option '--reporter <name\[=file\]>' argument 'xml' is invalid\. There is no reporter "xml"\. Try table, json, .+, or suppressions\.$/,
    ],
    [
      'run --reporter json= -- x.exe',
      /^Option '--reporter <name\[=file\]>' argument 'json=' is invalid\. The file name is missing after "="\. Try /,
    ],
    ['run --reporter json=a --reporter table=a -- x.exe', /The json report goes there already\. Try another file\.$/],
    [
      `run --reporter json=/nowhere/a.json -- '${leaky}'`,
      /^Cannot write report "\/nowhere\/a\.json": there is no such directory \(ENOENT\)\. Try making it first, or another file\.$/,
    ],
    [`run --reporter json=text.txt/a.json -- '${leaky}'`, /^Cannot write report "text\.txt\/a\.json": .*\. Try /],
    [
      `run --reporter table=directory -- '${leaky}'`,
      /^Cannot write report "directory": it is a directory \(EISDIR\)\. Try the name of a file in it\.$/,
    ],
    // The kernel refuses it to every user, root too.
    [
      `run --reporter json=/sys/a.json -- '${leaky}'`,
      /^Cannot write report "\/sys\/a\.json": access is denied \(\w+\)\. Try another file\.$/,
    ],
    [
      'run -- /proc/sys/vm/compact_memory',
      /^Cannot run "Z:\\proc\\sys\\vm\\compact_memory": access is denied \(\w+\)\. Try an account that may read it\.$/,
    ],
  ]);
  for (const [args, expected] of cases) {
    it(`answers ${args.replace(fixtures, '…')}`, () => {
      const directories = [
        cwd,
        join(cacheDirectory(process.env), 'packages'),
        join(cacheDirectory(process.env), 'prefixes'),
      ];
      const list = () => directories.map((directory) => readdirSync(directory));
      const there = list();
      const { stdout, stderr, status } = shell(`${unclosed} ${args}`, { cwd });
      assert.equal(status, 2, stderr);
      assert.equal(stdout, '', 'the program did not run, and stdout is for reports');
      assert.match(stderr, /^unclosed: [^\n]*\n$/, 'one line');
      assert.match(stderr.slice('unclosed: '.length).trimEnd(), expected);
      assert.deepEqual(list(), there);
    });
  }

  it('comes from Windows itself when only Windows sees what is wrong', () => {
    const { stdout, stderr, status } = shell(`${unclosed} run -- damaged.exe`, { cwd });
    assert.equal(status, 2, stderr);
    assert.equal(stdout, '');
    assert.match(stderr, /^unclosed: Cannot (run|start) ".*\\damaged\.exe": .*\((ERROR|STATUS)_\w+ \w+\)\./m);
    assert.deepEqual(findProcesses(join(cwd, 'damaged').replaceAll('/', '\\')), []);
  });

  it('is made before the program runs, and overwrites no report', () => {
    writeFileSync(join(cwd, 'report.json'), 'precious\n');
    const touch = 'require("fs").writeFileSync("touched", "")';
    shell(auditScript('--reporter json=report.json --reporter json=/nowhere/b.json', touch), { cwd });
    assert.equal(existsSync(join(cwd, 'touched')), false);
    assert.equal(readFileSync(join(cwd, 'report.json'), 'utf8'), 'precious\n');
  });
});
