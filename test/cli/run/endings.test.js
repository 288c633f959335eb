// How an audit ends when the program does not end by itself: Ctrl-C, signals, a crash, a kill from outside.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { copyFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { cacheDirectory } from '../../../launcher/cache.js';
import { inTerminal } from '../terminal.js';
import {
  eventually,
  findProcesses,
  fixtures,
  HANG_MS,
  makeDirectory,
  shell,
  skip,
  tool,
  unclosed,
  windowsNode,
} from './shell.js';

const cwd = makeDirectory();
/** The launcher's place for temporary files: no other program uses it, as the usual one is used by every test. */
const temporary = makeDirectory();
const env = { ...process.env, TMPDIR: temporary };

/** Scripts that hold a file open and wait; the name is in the command line, by which the tests find the processes. */
const scripts = {
  'waits.cjs': 'setInterval(() => {}, 1000);',
  'heeds.cjs':
    'process.on("SIGINT", () => { file.close(); fs.writeFileSync("heeded", ""); process.exit(7); }); setInterval(() => {}, 1000);',
  'lingers.cjs': 'process.on("SIGINT", () => setTimeout(() => process.exit(7), 1500)); setInterval(() => {}, 1000);',
  'ignores.cjs': 'process.on("SIGINT", () => {}); setInterval(() => {}, 1000);',
};

/** Adds to a file again and again, until there is another one. */
const ticks = `
  const fs = require("fs");
  const tick = () => (fs.existsSync("enough") ? clearInterval(timer) : fs.appendFileSync("ticks", "."));
  const timer = setInterval(tick, 20);
`;

/** The names in the cache and in the directories for temporary files, where anything that is left behind would be. */
function listPlaces() {
  const cache = cacheDirectory(process.env);
  const prefixes = readdirSync(join(cache, 'prefixes')).map((name) => join(cache, 'prefixes', name));
  const windows = prefixes.flatMap((prefix) =>
    ['drive_c', 'drive_c/users/root/Temp', 'drive_c/windows/temp'].map((name) => join(prefix, name)),
  );
  const places = [join(cache, 'packages'), join(cache, 'prefixes'), ...windows].filter((place) => existsSync(place));
  return [...places, temporary].map((place) => readdirSync(place).join());
}

/**
 * Starts an audit in a process group of its own, and waits until its program is ready.
 *
 * @param {keyof typeof scripts} script
 * @param {readonly string[]} options
 */
async function start(script, options = []) {
  rmSync(join(cwd, 'ready'), { force: true });
  const child = spawn(process.execPath, [tool, 'run', ...options, '--', windowsNode, script], {
    cwd,
    env,
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const ended = new Promise((resolve) => child.on('close', (status) => resolve({ stdout, stderr, status })));
  await eventually(() => existsSync(join(cwd, 'ready')) || child.exitCode !== null);
  assert.equal(child.exitCode, null, stderr);
  return {
    pid: /** @type {number} */ (child.pid),
    said: () => stderr,
    ended: /** @type {Promise<import('./shell.js').Ended>} */ (ended),
  };
}

describe('Ctrl-C', { skip }, () => {
  before(() => {
    for (const [name, end] of Object.entries(scripts)) {
      const start =
        'const fs = require("fs"); const file = { fd: fs.openSync(__filename), close() { fs.closeSync(this.fd); } };';
      writeFileSync(join(cwd, name), `${start} fs.writeFileSync("ready", ""); ${end}\n`);
    }
  });

  /** To the launcher alone, as `kill` does it, and to the process group, as a terminal or a job runner does it. */
  const ways = /** @type {[string, (pid: number) => void][]} */ ([
    ['SIGINT to the launcher', (pid) => process.kill(pid, 'SIGINT')],
    ['SIGTERM to the launcher', (pid) => process.kill(pid, 'SIGTERM')],
    ['SIGINT to the process group', (pid) => process.kill(-pid, 'SIGINT')],
    ['SIGTERM to the process group, as timeout(1) sends it', (pid) => process.kill(-pid, 'SIGTERM')],
    ['SIGHUP to the process group, as a closed terminal sends it', (pid) => process.kill(-pid, 'SIGHUP')],
    [
      'SIGINT to the launcher twice at once, as timeout(1) sends it',
      (pid) => [1, 2].forEach(() => process.kill(pid, 'SIGINT')),
    ],
  ]);
  for (const [name, interrupt] of ways) {
    it(`by ${name} ends a program, whose report is still made`, async () => {
      const places = listPlaces();
      const { pid, ended } = await start('waits.cjs', ['--json']);
      interrupt(pid);
      const { stdout, stderr, status } = await ended;
      assert.equal(status, 130, stderr);
      const { findings, completeness } = JSON.parse(stdout);
      assert.ok(
        findings.some((/** @type {any} */ { object }) => object.name?.endsWith('waits.cjs')),
        stdout,
      );
      assert.equal(completeness.complete, false);
      assert.match(completeness.notes[0], /interrupted/);
      await eventually(() => findProcesses('waits.cjs').length === 0);
      assert.deepEqual(listPlaces(), places);
    });
  }

  it('gives a program the time to end as it wants, which its report shows', async () => {
    const { pid, ended } = await start('heeds.cjs', ['--json']);
    process.kill(pid, 'SIGINT');
    const { stdout, status } = await ended;
    assert.equal(status, 130);
    const { findings, target } = JSON.parse(stdout);
    assert.equal(target.exitCode, 7);
    assert.ok(existsSync(join(cwd, 'heeded')));
    assert.ok(
      !findings.some((/** @type {any} */ { object }) => object.name?.endsWith('heeds.cjs')),
      'it closed its file',
    );
  });

  it('ends a program that ignores it a little later, and says so at once', async () => {
    const { pid, ended } = await start('ignores.cjs', ['--json']);
    process.kill(pid, 'SIGINT');
    const { stdout, stderr, status } = await ended;
    assert.equal(status, 130);
    assert.match(stderr, /^unclosed: interrupted; the program has 3 s to end by itself, then comes the report …\n$/);
    assert.ok(
      JSON.parse(stdout).findings.some((/** @type {any} */ { object }) => object.name?.endsWith('ignores.cjs')),
    );
    await eventually(() => findProcesses('ignores.cjs').length === 0);
  });

  it('ends everything when it comes again, and leaves no half report', async () => {
    const { pid, said, ended } = await start('ignores.cjs', ['--reporter', 'json=report.json']);
    process.kill(pid, 'SIGINT');
    // An earlier second signal would count as an echo of the first.
    await eventually(() => said().includes('interrupted'));
    process.kill(pid, 'SIGINT');
    const { status } = await ended;
    assert.equal(status, 137);
    await eventually(() => findProcesses('ignores.cjs').length === 0);
    assert.deepEqual(
      readdirSync(cwd).filter((name) => name.startsWith('report')),
      [],
    );
  });

  it('on a terminal does the same', async () => {
    rmSync(join(cwd, 'ready'), { force: true });
    const command = `${unclosed} run --reporter json=terminal.json -- '${windowsNode}' waits.cjs`;
    const { status } = await inTerminal(command, {
      cwd,
      type: async (write) => {
        await eventually(() => existsSync(join(cwd, 'ready')));
        await new Promise((resolve) => setTimeout(resolve, 500));
        write('\x03');
      },
    });
    assert.equal(status, 130);
    const { findings } = JSON.parse(readFileSync(join(cwd, 'terminal.json'), 'utf8'));
    assert.ok(findings.some((/** @type {any} */ { object }) => object.name?.endsWith('waits.cjs')));
    await eventually(() => findProcesses('waits.cjs').length === 0);
  });
});

describe('a terminal', { skip }, () => {
  // The tool has a remark to make about a program that takes its time, and no terminal for it.
  for (const script of ['waits.cjs', 'lingers.cjs']) {
    it(`that is closed ends a program, whose report is still made: ${script}`, async () => {
      rmSync(join(cwd, 'ready'), { force: true });
      rmSync(join(cwd, 'closed.json'), { force: true });
      const command = `${unclosed} run --reporter table --reporter json=closed.json -- '${windowsNode}' ${script}`;
      const terminal = spawn('script', ['-qec', command, '/dev/null'], { cwd, stdio: ['pipe', 'ignore', 'ignore'] });
      await eventually(() => existsSync(join(cwd, 'ready')));
      terminal.kill('SIGKILL');
      await eventually(() => existsSync(join(cwd, 'closed.json')));
      const { findings } = JSON.parse(readFileSync(join(cwd, 'closed.json'), 'utf8'));
      assert.ok(findings.some((/** @type {any} */ { object }) => object.name?.endsWith(script)));
      await eventually(() => findProcesses(script).length === 0);
    });
  }

  it('whose user types Ctrl-Z stops all programs, until the user goes on', async () => {
    rmSync(join(cwd, 'ready'), { force: true });
    rmSync(join(cwd, 'ticks'), { force: true });
    writeFileSync(join(cwd, 'ticks.cjs'), ticks);
    const count = () => (existsSync(join(cwd, 'ticks')) ? readFileSync(join(cwd, 'ticks')).length : 0);
    const states = () => findStates('ticks.cjs');
    // A shell with job control, which continues the job after a line of input.
    const command = `bash --norc -c "set -m; ${unclosed} run --fail-on never -- '${windowsNode}' ticks.cjs; read; fg"`;
    const { status } = await inTerminal(command, {
      cwd,
      type: async (write) => {
        await eventually(() => count() > 0);
        write('\x1a');
        await eventually(() => states().length > 0 && states().every((state) => state === 'T'));
        writeFileSync(join(cwd, 'enough'), '');
        write('\n');
      },
    });
    assert.equal(status, 0);
    assert.deepEqual(states(), []);
  });
});

describe('a launcher', { skip }, () => {
  it('that is killed leaves no program behind, and its report file is still written', async () => {
    const { pid } = await start('waits.cjs', ['--reporter', 'json=orphaned.json']);
    process.kill(pid, 'SIGKILL');
    await eventually(() => findProcesses('waits.cjs').length === 0);
    await eventually(() => existsSync(join(cwd, 'orphaned.json')));
  });
});

describe('a program', { skip }, () => {
  it('that crashes leaves a report and nothing else', () => {
    const places = listPlaces();
    const { stdout, status } = shell(`${unclosed} run --json -- '${join(fixtures, 'crashes.exe')}'`, { cwd, env });
    assert.equal(status, 1);
    assert.equal(JSON.parse(stdout).target.exitCode, 0xc0000005);
    assert.deepEqual(listPlaces(), places);
  });

  it('that is killed from outside leaves an incomplete report, which --require-complete does not take', async () => {
    const victim = join(cwd, 'is-killed.exe');
    copyFileSync(join(fixtures, 'waits-to-be-killed.exe'), victim);
    const child = spawn(
      process.execPath,
      [tool, 'run', '--json', '--fail-on', 'never', '--require-complete', '--', victim],
      { cwd, stdio: ['ignore', 'pipe', 'pipe'] },
    );
    let [stdout, stderr] = ['', ''];
    child.stdout.on('data', (chunk) => (stdout += chunk));
    child.stderr.on('data', (chunk) => {
      const ready = /ready/.test(stderr);
      stderr += chunk;
      if (!ready && /ready/.test(stderr)) killProgram('is-killed.exe');
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    const { completeness, findings } = JSON.parse(stdout);
    assert.equal(completeness.complete, false);
    assert.match(completeness.notes[0], /ended from outside/);
    assert.equal(findings.length, 1);
    assert.equal(status, 3);
  });

  it('that leaves a child running does not keep the report back', () => {
    const stay = `setTimeout(() => {}, ${HANG_MS})`;
    const leave = `require("child_process").spawn(process.execPath, ["-e", "${stay}"], { detached: true, stdio: "inherit" }).unref()`;
    const { stdout, status } = shell(
      `${unclosed} run --fail-on error --reporter json=child.json -- '${windowsNode}' -e '${leave}; console.log("left")' 2>err`,
      { cwd },
    );
    assert.equal(stdout, 'left\n');
    assert.equal(status, 0, readFileSync(join(cwd, 'err'), 'utf8'));
    assert.equal(findProcesses(stay).length, 1, 'it still runs, and it is not ours to end');
    killProgram('node.exe', stay);
  });
});

/**
 * The states of the Windows programs with a part of a command line, as proc(5) has them: `T` is stopped.
 *
 * @param {string} part
 */
function findStates(part) {
  return readdirSync('/proc').flatMap((pid) => {
    try {
      const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (!program.endsWith('node.exe') || !args.includes(part)) return [];
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return [stat.charAt(stat.lastIndexOf(')') + 2)];
    } catch {
      return []; // it ended meanwhile, or is no process
    }
  });
}

/**
 * Ends the Windows programs of that name, but no program that only has it among its arguments.
 *
 * @param {string} name
 * @param {string} [argument] that they must have
 */
function killProgram(name, argument) {
  for (const pid of readdirSync('/proc').filter((each) => /^\d+$/.test(each))) {
    try {
      const [program = '', ...args] = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
      if (program.endsWith(`\\${name}`) && (argument === undefined || args.includes(argument)))
        process.kill(Number(pid), 'SIGKILL');
    } catch {
      // It ended meanwhile.
    }
  }
}
