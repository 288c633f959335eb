// The launcher as a user meets it: from a shell, with pipes, files and terminals, and signals.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { eventually } from '../run/shell.js';
import { inTerminal } from '../terminal.js';

const start = fileURLToPath(new URL('start.js', import.meta.url));
const command = `'${process.execPath}' '${start}'`;
const directory = mkdtempSync(join(tmpdir(), 'unclosed-launcher-'));
after(() => rmSync(directory, { recursive: true }));

/**
 * @param {string} line
 * @param {{ input?: string, cwd?: string, env?: NodeJS.ProcessEnv }} [options]
 */
function shell(line, { input = '', cwd = directory, env = {} } = {}) {
  return spawnSync('sh', ['-c', line], {
    cwd,
    input,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  });
}

const probe = fileURLToPath(new URL('probe.js', import.meta.url)).replaceAll('/', '\\');

/** @returns {string[]} the ids of the probe's processes, of this clone's */
function listProbes() {
  return readdirSync('/proc').filter((pid) => {
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(probe);
    } catch {
      return false;
    }
  });
}

const lines = 32_768;
const mebibyte = '0123456789abcdef0123456789abcde\n'.repeat(lines);

describe('the launcher', { skip: process.platform === 'win32' && 'there is no launcher on Windows' }, () => {
  it('runs a script in Windows Node.js, in the same directory, with the arguments as they are', () => {
    const { stdout, stderr, status } = shell(`${command} facts 'a b' 'q"q' 'back\\slash\\' /unix ünï✗ '' '*'`, {
      env: { NODE_OPTIONS: '--no-warnings' },
    });
    assert.equal(stderr, '');
    assert.equal(status, 0);
    const { platform, args, cwd, NODE_OPTIONS } = JSON.parse(stdout);
    assert.equal(platform, 'win32');
    assert.deepEqual(args, ['a b', 'q"q', 'back\\slash\\', '/unix', 'ünï✗', '', '*']);
    assert.equal(cwd, `Z:${directory.replaceAll('/', '\\')}`);
    assert.equal(NODE_OPTIONS, undefined);
  });

  for (const [name, env] of /** @type {const} */ ([
    ['C', { LC_ALL: 'C' }],
    ['one that is not installed', { LC_ALL: 'tlh_KX.UTF-8' }],
  ])) {
    it(`keeps names that are not ASCII whole under the locale ${name}`, () => {
      const cwd = join(directory, 'ünï');
      mkdirSync(cwd, { recursive: true });
      const { stdout } = shell(`${command} facts ü✗`, { cwd, env });
      const { args, cwd: seen } = JSON.parse(stdout);
      assert.deepEqual(args, ['ü✗']);
      assert.match(seen, /\\ünï$/);
    });
  }

  it('prints to a pipe, whole: one mebibyte', () => {
    const { stdout, stderr, status } = shell(`${command} print ${lines} | cat`);
    assert.equal(status, 0);
    assert.equal(stderr, 'to stderr\n');
    assert.ok(stdout === mebibyte);
  });

  it('prints to a pipe whose reader is slow, whole', () => {
    const { stdout } = shell(`${command} print ${lines} | (sleep 2; cat)`);
    assert.ok(stdout === mebibyte);
  });

  it('prints to a socket, which Node.js gives its children for a pipe, whole', () => {
    const { stdout, stderr } = spawnSync(process.execPath, [start, 'print', String(lines)], {
      encoding: 'utf8',
      maxBuffer: 1 << 26,
    });
    assert.equal(stderr, 'to stderr\n');
    assert.ok(stdout === mebibyte);
  });

  it('prints to files, whole', () => {
    const { status } = shell(`${command} print ${lines} >out 2>err`);
    assert.equal(status, 0);
    assert.ok(readFileSync(join(directory, 'out'), 'utf8') === mebibyte);
    assert.equal(readFileSync(join(directory, 'err'), 'utf8'), 'to stderr\n');
  });

  it('appends to one file for both streams without overwriting', () => {
    shell(`echo before >both; ${command} print 1 >>both 2>&1`);
    assert.equal(readFileSync(join(directory, 'both'), 'utf8'), `before\nto stderr\n${mebibyte.slice(0, 32)}`);
  });

  it('tells of each stream whether it is a terminal, how wide, and how colourful', async () => {
    const path = /^Z:\\dev\\pts\\\d+$/;
    const both = JSON.parse((await inTerminal(`${command} facts > facts; cat facts`, { cwd: directory })).stdout);
    assert.equal(both.host.stdout, undefined);
    assert.equal(both.host.stderr.columns, 80);
    assert.equal(both.host.stderr.colorDepth, 8);
    assert.match(both.host.stderr.path, path);
    const piped = JSON.parse(shell(`${command} facts`).stdout);
    assert.equal(piped.host.stdout, undefined);
    assert.equal(piped.host.stderr, undefined);
  });

  it("makes Node.js' own streams work on pipes", () => {
    const { stdout, stderr, status } = shell(`${command} streams | cat`);
    assert.equal(stderr, 'to stderr\n');
    assert.equal(status, 0);
    assert.equal(stdout, `{"colorDepth":1}\n\x1b[31m${'é'.repeat(78)}\x1b[39m|\nend\n`);
  });

  it('prints a coloured line as wide as the terminal as it was written', async () => {
    const { stdout } = await inTerminal(`${command} streams`);
    assert.equal(
      stdout.replaceAll('\r\n', '\n'),
      `{"isTTY":true,"columns":80,"colorDepth":8}\n\x1b[31m${'é'.repeat(78)}\x1b[39m|\nto stderr\nend\n`,
    );
  });

  it('hands stdin through', () => {
    const { stdout } = shell(`${command} copy`, { input: mebibyte });
    assert.ok(stdout === mebibyte);
    assert.equal(shell(`${command} copy </dev/null`).stdout, '');
  });

  for (const code of [0, 1, 2, 3, 130]) {
    it(`hands the exit code ${code} through`, () => {
      assert.equal(shell(`${command} exit ${code}`).status, code);
    });
  }

  it('hands the exit code of the audited program through, of which Linux keeps eight bits', () => {
    assert.equal(shell(`${command} exit 77`).status, 77);
    assert.equal(shell(`${command} exit ${0x1_4d}`).status, 77);
  });

  for (const [what, how] of [
    ['abort', '(exit code|signal) \\w+'],
    ['vanish', 'exit code 0'],
  ]) {
    it(`takes no end for a result that the tool has not said: ${what}`, () => {
      const { status, stderr } = shell(`${command} ${what}`);
      assert.equal(status, 2);
      assert.match(
        stderr,
        new RegExp(
          `^unclosed: Cannot finish: Windows Node\\.js 22\\.\\S+ ended early under wine-.* \\(${how}\\)\\. Try again, `,
          'm',
        ),
      );
    });
  }

  it('says how to get Wine when there is none, and returns 2', () => {
    const { status, stderr, stdout } = shell(`${command} facts`, { env: { WINE: '/nowhere/wine' } });
    assert.equal(status, 2);
    assert.equal(stdout, '');
    assert.match(
      stderr,
      /^unclosed: On Linux, Windows programs need Wine 8 or newer \(64-bit\): WINE=\/nowhere\/wine is not one: it cannot be run\. Try /,
    );
  });

  for (const stderr of ['2>&-', '2>/dev/full']) {
    it(`returns 2 also where its message reaches no reader: ${stderr}`, () => {
      assert.equal(shell(`${command} facts ${stderr}`, { env: { WINE: '/nowhere/wine' } }).status, 2);
      assert.equal(shell(`${command} vanish ${stderr}`).status, 2);
    });
  }

  it('says why when it cannot write to its cache, and returns 2', () => {
    const { status, stderr } = shell(`${command} facts`, { env: { UNCLOSED_HOME: '/etc/passwd/cache' } });
    assert.equal(status, 2);
    assert.match(
      stderr,
      /^unclosed: Cannot write to the cache: \/etc\/passwd\/cache\/\S+: ENOTDIR.*\. Try UNCLOSED_HOME=/m,
    );
  });

  for (const signal of /** @type {const} */ (['SIGINT', 'SIGTERM', 'SIGHUP'])) {
    it(`turns ${signal} into Ctrl-C for the Windows side, and leaves nothing running`, async () => {
      const child = spawn(process.execPath, [start, 'wait'], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise((resolve) => child.on('close', resolve));
      let output = '';
      child.stdout.on('data', (chunk) => (output += chunk));
      await eventually(() => output === 'waiting\n');
      child.kill(signal);
      assert.equal(await ended, 130);
      assert.equal(output, 'waiting\ninterrupted\n');
      await eventually(() => listProbes().length === 0);
    });
  }

  /**
   * Starts a program that heeds no Ctrl-C and has started another one, and ends both.
   *
   * @param {() => void} look at both of them, while they run
   * @returns {Promise<unknown>} the launcher's exit code
   */
  async function endStubborn(look) {
    const child = spawn(process.execPath, [start, 'wait', 'stubborn'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((resolve) => child.on('close', resolve));
    let output = '';
    child.stdout.on('data', (chunk) => (output += chunk));
    await eventually(() => output === 'waiting\n' && listProbes().length === 2);
    look();
    child.kill('SIGTERM');
    await eventually(() => output === 'waiting\ninterrupted\n');
    await sleep(300); // an earlier one would count as an echo of the first
    child.kill('SIGTERM');
    return await ended;
  }

  it('ends everything at the second signal', async () => {
    assert.equal(await endStubborn(() => {}), 137);
    await eventually(() => listProbes().length === 0);
  });

  const mayFixAddresses = spawnSync('setarch', ['-R', 'true']).status === 0;
  it('starts Windows programs, and they others, without random addresses', {
    skip: !mayFixAddresses && 'setarch -R is not permitted here',
  }, async () => {
    /** @type {string[]} */
    let personalities = [];
    await endStubborn(() => {
      personalities = listProbes().map((pid) => readFileSync(`/proc/${pid}/personality`, 'latin1').trim());
    });
    assert.deepEqual(personalities, ['00040000', '00040000']); // ADDR_NO_RANDOMIZE: personality(2)
  });

  it('leaves Ctrl-C on a terminal to the Windows side, which gets it once', async () => {
    const { stdout, status } = await inTerminal(`${command} wait`, {
      type: async (write, shown) => {
        await eventually(() => shown().includes('waiting'));
        write('\x03');
      },
    });
    assert.equal(stdout.match(/interrupted/g)?.length, 1);
    assert.equal(status, 130);
    await eventually(() => listProbes().length === 0);
  });
});
