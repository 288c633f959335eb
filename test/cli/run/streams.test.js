// stdin, stdout and stderr of the audited program and of the tool, as a shell connects them.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { inTerminal } from '../terminal.js';
import { auditScript, fixtures, makeDirectory, shell, skip, unclosed } from './shell.js';

const cwd = makeDirectory();
const leaky = join(fixtures, 'leaks-event.exe');
const clean = join(fixtures, 'leaks-event-clean.exe');

describe('the JSON report on stdout', { skip }, () => {
  it('is one document, for a program with a leak, which exits with 1', () => {
    const { stdout, status } = shell(`${unclosed} run --json -- '${leaky}'`, { cwd });
    assert.equal(status, 1);
    const report = JSON.parse(stdout);
    assert.equal(report.schemaVersion, 1);
    assert.deepEqual(
      report.findings.map((/** @type {any} */ { rule, level }) => [rule, level]),
      [['leak', 'warning']],
    );
    assert.equal(report.completeness.complete, true);
  });

  it('has no findings for its clean twin, which exits with 0', () => {
    const { stdout, status } = shell(`${unclosed} run --json -- '${clean}'`, { cwd });
    assert.equal(status, 0);
    assert.deepEqual(JSON.parse(stdout).findings, []);
  });

  it('counts the notes, and holds them with --notes', () => {
    const { stdout, status } = shell(`${unclosed} run --json --notes -- '${clean}'`, { cwd });
    assert.equal(status, 0);
    const { findings, stats } = JSON.parse(stdout);
    assert.ok(findings.length > 0);
    assert.equal(findings.length, stats.notes);
    assert.ok(findings.every((/** @type {any} */ { level }) => level === 'note'));
  });

  it('leaves the program its stdout on stderr', () => {
    const { stdout, stderr } = shell(auditScript('--json', 'console.log("to stdout"); console.error("to stderr")'), {
      cwd,
    });
    JSON.parse(stdout);
    assert.equal(stderr, 'to stdout\nto stderr\n');
  });

  for (const [what, siteCount, depth, leastBytes] of /** @type {const} */ ([
    ['64 KiB', 80, 0, 1 << 16],
    ['50 MB', 4000, 70, 50e6],
  ])) {
    it(`arrives whole through a pipe whose reader is slow: more than ${what}`, () => {
      const program = buildLeakyProgram(siteCount, depth);
      const { stdout, status } = shell(
        `{ ${unclosed} run --json -- '${program}'; echo $? >&3; } 3>status | (sleep 1; cat)`,
        { cwd },
      );
      assert.equal(status, 0, 'the exit code of cat');
      assert.equal(readFileSync(join(cwd, 'status'), 'utf8'), '1\n');
      assert.ok(stdout.length > leastBytes, `${stdout.length} bytes`);
      assert.equal(JSON.parse(stdout).findings.length, siteCount);
    });
  }

  it('does not mind a reader that has seen enough', () => {
    const { stdout, stderr } = shell(
      `{ ${unclosed} run --json -- '${buildLeakyProgram(1200)}'; echo "status $?" >&2; } | head -n 1`,
      { cwd },
    );
    assert.equal(stdout, '{\n');
    assert.equal(stderr, 'status 1\n');
  });
});

describe('the audited program', { skip }, () => {
  // As text: to read bytes Node.js asks for the size of stdin first, which fails for files under Wine, with and without
  // us.
  const echo = 'const text = require("fs").readFileSync(0, "utf8"); process.stdout.write(text); console.error("read")';

  it('reads a pipe to its end', () => {
    const { stdout, stderr } = shell(`printf 'line\\n%.0s' $(seq 50000) | ${auditScript('', echo)}`, { cwd });
    assert.equal(stdout.length, 250_000);
    assert.match(stderr, /^read\n/);
  });

  it('reads a file, and writes a file', () => {
    writeFileSync(join(cwd, 'in'), 'from a file\n');
    shell(`${auditScript('', echo)} <in >out 2>err`, { cwd });
    assert.equal(readFileSync(join(cwd, 'out'), 'utf8'), 'from a file\n');
    assert.match(readFileSync(join(cwd, 'err'), 'utf8'), /^read\nunclosed /);
  });

  it('prints ten mebibytes to a pipe, whole, and to a file', () => {
    const print = 'for (let i = 0; i < 10240; i++) process.stdout.write("x".repeat(1023) + "\\n")';
    assert.equal(shell(`${auditScript('', print)} 2>err | cksum`, { cwd }).stdout, expectedSum());
    assert.equal(shell(`${auditScript('', print)} 2>err >out; cksum <out`, { cwd }).stdout, expectedSum());
    assert.equal(shell(`${auditScript('--json', print)} 2>&1 >report.json | cksum`, { cwd }).stdout, expectedSum());
  });

  it('may leave a child behind that is in the midst of writing more than a pipe holds', () => {
    const child = 'process.send(0, () => require("fs").writeSync(1, Buffer.alloc(1 << 26, 120)))';
    const parent = `
      const stdio = ["ignore", "inherit", "inherit", "ipc"];
      const child = require("child_process").spawn(process.execPath, ["-e", process.argv[1]], { stdio, detached: true });
      child.once("message", () => process.exit(0))`;
    const { stdout, status } = shell(
      `{ ${auditScript('--no-follow-children --fail-on never --reporter json=left.json', parent)} -- '${child}'; echo $? >&3; } 3>status | (sleep 3; cksum)`,
      { cwd },
    );
    assert.equal(status, 0, stdout);
    assert.equal(readFileSync(join(cwd, 'status'), 'utf8'), '0\n');
    assert.equal(JSON.parse(readFileSync(join(cwd, 'left.json'), 'utf8')).target.exitCode, 0);
  });

  it('may leave a child behind that writes without end', () => {
    const child = 'process.send(0); for (;;) require("fs").writeSync(1, "line\\n")';
    const parent = `
      const stdio = ["ignore", "inherit", "inherit", "ipc"];
      const child = require("child_process").spawn(process.execPath, ["-e", process.argv[1]], { stdio, detached: true });
      child.once("message", () => setTimeout(() => { console.log("left", child.pid); process.exit(0); }, 500))`;
    const { stdout } = shell(
      `{ ${auditScript('--no-follow-children --fail-on never --reporter json=left.json', parent)} -- '${child}'; echo "ended with $?"; }`,
      { cwd },
    );
    assert.match(stdout, /ended with 0\n$/);
    assert.match(stdout, /^left \d+$/m);
    assert.match(stdout.replace(/ended with 0\n$/, ''), /^(?:line\n|left \d+\n)*(?:l(?:i(?:ne?)?)?)?$/);
  });

  it('is not held up in its other work by a reader that is slow', () => {
    // A thread fills all pipes. The reader begins when the tool has answered a mark of another thread.
    const script = `
      const { Worker } = require("worker_threads");
      new Worker("require(\\"fs\\").writeSync(1, Buffer.alloc(1 << 20))", { eval: true });
      const pipe = require("net").connect("\\\\\\\\.\\\\pipe\\\\slow-reader");
      setTimeout(() => pipe.write("\\n"), 1000);
      pipe.on("data", () => { require("fs").writeFileSync("answered", ""); pipe.destroy(); })`;
    const reader = 'while [ ! -e answered ]; do sleep 0.05; done; wc -c';
    const { stdout } = shell(
      `${auditScript('--mark pipe:slow-reader --fail-on never --reporter json=slow.json', script)} | { ${reader}; }`,
      { cwd },
    );
    assert.equal(stdout.trim(), `${1 << 20}`);
  });

  it('sees that its output has no reader any more, as without the tool', () => {
    const script = `
      const fs = require("fs");
      try { for (;;) fs.writeSync(1, "line\\n"); } catch ({ code }) { fs.writeFileSync("failed", code); process.exit(9); }`;
    const { stdout } = shell(`{ ${auditScript('--fail-on never --reporter json=unread.json', script)}; } | head -n 2`, {
      cwd,
    });
    assert.equal(stdout, 'line\nline\n');
    assert.match(readFileSync(join(cwd, 'failed'), 'utf8'), /^E(?:PIPE|OF)$/);
    assert.equal(JSON.parse(readFileSync(join(cwd, 'unread.json'), 'utf8')).target.exitCode, 9);
  });

  it('may close its own stdout', () => {
    const { stdout, stderr, status } = shell(
      auditScript('--fail-on error', 'console.log("last words"); require("fs").closeSync(1)'),
      { cwd },
    );
    assert.equal(stdout, 'last words\n');
    assert.equal(status, 0, stderr);
  });

  it('leaves its own exit code in the report, and with --forward-exit-code to the shell', () => {
    const { stdout, status } = shell(auditScript('--json --fail-on never', 'process.exit(77)'), { cwd });
    assert.equal(JSON.parse(stdout).target.exitCode, 77);
    assert.equal(status, 0);
    assert.equal(shell(auditScript('--forward-exit-code', 'process.exit(77)'), { cwd }).status, 77);
    const crashed = shell(auditScript('--forward-exit-code', 'process.exit(0xc0000005 | 0)'), { cwd });
    assert.equal(crashed.status, 5, crashed.stderr);
    assert.doesNotMatch(crashed.stderr, /Cannot finish/);
    assert.equal(shell(`${unclosed} run --forward-exit-code -- '${leaky}'`, { cwd }).status, 0, 'whatever was found');
  });

  it('gets every argument after its name, with and without --', () => {
    const print = 'console.log(JSON.stringify(process.argv.slice(1)))';
    assert.equal(shell(`${auditScript('', print)} -- --json 'a b'`, { cwd }).stdout, '["--json","a b"]\n');
    assert.equal(
      shell(`${auditScript('', print).replace(' -- ', ' ')} -- --json 'a b'`, { cwd }).stdout,
      '["--json","a b"]\n',
    );
  });

  /** Each way to run a command, as a shell line. */
  const ways = [
    ['a pipe', (/** @type {string} */ command) => `${command} 2>err | cat`],
    ['a file', (/** @type {string} */ command) => `${command} 2>err >out; cat out`],
    ['a socket', (/** @type {string} */ command) => `${command} 2>err`],
    ['nowhere', (/** @type {string} */ command) => `${command} >/dev/null 2>err; echo 1`],
  ];
  for (const [name, way] of /** @type {[string, (command: string) => string][]} */ (ways)) {
    it(`that is Node.js prints one line to ${name}, and has no finding of level error`, () => {
      const { stdout } = shell(way(auditScript('--fail-on error --reporter json=node.json', 'console.log(1)')), {
        cwd,
      });
      assert.equal(stdout, '1\n');
      const report = JSON.parse(readFileSync(join(cwd, 'node.json'), 'utf8'));
      assert.equal(report.target.exitCode, 0);
      assert.deepEqual(
        report.findings.filter((/** @type {any} */ { level }) => level === 'error'),
        [],
      );
      assert.ok(
        report.findings.every((/** @type {any} */ { rule }) => rule === 'leak'),
        'Node.js misuses no handle',
      );
    });
  }

  it('has the terminal', async () => {
    const line = auditScript('--reporter json=node.json', 'console.log(process.stdout.isTTY, process.stdin.isTTY)');
    const { stdout } = await inTerminal(line, { cwd, env: { TERM: 'dumb', NO_COLOR: '1' } });
    assert.match(stdout, /true true/);
  });
});

describe('reporters', { skip }, () => {
  it('write several reports at once, and leave nothing else behind', () => {
    const before = readdirSync(cwd);
    const { stdout, stderr, status } = shell(
      `${unclosed} run --reporter json=a.json --reporter table=b.txt --reporter table -- '${leaky}'`,
      { cwd },
    );
    assert.equal(status, 1);
    assert.match(stdout, /^leak Event 0x[0-9a-f]+\r?\n$/, 'a file for the JSON leaves stdout to the program');
    assert.equal(JSON.parse(readFileSync(join(cwd, 'a.json'), 'utf8')).findings.length, 1);
    assert.match(stderr, /WARNING leak/);
    assert.equal(readFileSync(join(cwd, 'b.txt'), 'utf8').split('\n', 1)[0], stderr.split('\n', 1)[0]);
    assert.deepEqual(readdirSync(cwd).sort(), [...new Set([...before, 'a.json', 'b.txt'])].sort());
  });

  it('write to a device without replacing it', () => {
    const { status } = shell(`${unclosed} run --reporter json=/dev/null -- '${leaky}' && test -c /dev/null`, { cwd });
    assert.equal(status, 1);
    assert.equal(shell('test -c /dev/null', { cwd }).status, 0);
  });

  it('make one document out of the same wish uttered twice', () => {
    const { stdout } = shell(`${unclosed} run --json --reporter json -- '${leaky}'`, { cwd });
    JSON.parse(stdout);
  });

  it('exit as --fail-on says', () => {
    for (const [level, expected] of [
      ['error', 0],
      ['warning', 1],
      ['note', 1],
      ['never', 0],
    ]) {
      assert.equal(shell(`${unclosed} run --fail-on ${level} -- '${leaky}'`, { cwd }).status, expected, String(level));
    }
  });

  it('show the notes that make the build fail', () => {
    const { stdout, status } = shell(`${unclosed} run --json --fail-on note -- '${clean}'`, { cwd });
    assert.equal(status, 1);
    assert.ok(JSON.parse(stdout).findings.length > 0);
  });
});

/** @returns {string} what cksum says of 10,240 lines of 1,024 characters */
function expectedSum() {
  return shell(
    `awk 'BEGIN { line = sprintf("%1023s", ""); gsub(/ /, "x", line); for (i = 0; i < 10240; i++) print line }' | cksum`,
    { cwd },
  ).stdout;
}

/**
 * A program with that many functions, each of which leaks an event of its own.
 *
 * @param {number} siteCount
 * @param {number} [depth] how many calls each of them is below `main`
 * @returns {string} its path
 */
function buildLeakyProgram(siteCount, depth = 0) {
  const name = join(cwd, `leaks-at-${siteCount}-sites`);
  const functions = Array.from(
    { length: siteCount },
    (_, index) =>
      `__attribute__((noinline)) void leak_number_${index}(void) { CreateEventW(0, 0, 0, 0); count += ${index}; }`,
  );
  // The addition keeps the compiler from making a loop of it.
  const descend =
    '__attribute__((noinline)) void descend(int depth, void (*leak)(void)) { if (depth > 0) descend(depth - 1, leak); else leak(); count += depth; }';
  const calls = Array.from({ length: siteCount }, (_, index) => `descend(${depth}, leak_number_${index});`);
  writeFileSync(
    `${name}.c`,
    `#include <windows.h>\nvolatile int count;\n${functions.join('\n')}\n${descend}\nint main(void) { ${calls.join(' ')} return 0; }\n`,
  );
  const { stderr, status } = shell(`x86_64-w64-mingw32-gcc -O1 -g -gdwarf-4 -o '${name}.exe' '${name}.c'`, { cwd });
  assert.equal(status, 0, stderr);
  return `${name}.exe`;
}
