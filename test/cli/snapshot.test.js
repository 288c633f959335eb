// snapshot and watch as a user meets them on Linux: a full disk, a terminal, Ctrl-C, a reader that goes away.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { findWindows } from '../../scripts/windows.js';
import { inTerminal } from './terminal.js';
import { prepareMachine } from '../../launcher/launch.js';
import { startSession } from '../../launcher/session.js';
import { startByWine } from '../../launcher/wine.js';

const tool = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));
const fixtures = fileURLToPath(new URL('../../fixtures/build', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'unclosed-snapshot-'));
const disk = join(directory, 'disk');

/** @param {readonly string[]} args */
function runTool(args, input = '') {
  return spawnSync(process.execPath, [tool, ...args], { cwd: directory, input, encoding: 'utf8', maxBuffer: 1 << 26 });
}

/**
 * Starts a program of fixtures/targets, which ends by itself after some minutes.
 *
 * @param {string} program
 * @param {readonly string[]} args
 * @returns {Promise<{ pid: string, end: () => void }>}
 */
async function start(program, ...args) {
  const { wine, environment } = await prepareMachine(process.env);
  await startSession(wine, environment);
  const child = spawn(...startByWine(wine, [join(fixtures, `${program}.exe`), ...args]), {
    env: environment,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const pid = await new Promise((resolve, reject) => {
    let output = '';
    child.on('exit', () => reject(new Error(`${program} ended early`)));
    child.stdout.setEncoding('utf8').on('data', (text) => {
      output += text;
      const ready = /^ready (\d+)\r?$/m.exec(output);
      if (ready) resolve(ready[1]);
    });
  });
  return { pid, end: () => child.kill('SIGKILL') };
}

/** A file system of 64 KiB, which takes the right to mount one. */
function mountDisk() {
  mkdirSync(disk);
  return spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk]).status === 0;
}

describe('on Linux', { skip: process.platform === 'win32' && 'there is no launcher on Windows' }, () => {
  /** @type {{ pid: string, end: () => void }} */
  let quiet;
  const hasDisk = process.platform !== 'win32' && mountDisk();
  before(async () => {
    await findWindows();
    quiet = await start('stays-quiet');
  });
  after(() => {
    quiet.end();
    if (hasDisk) spawnSync('umount', [disk]);
    rmSync(directory, { recursive: true });
  });

  it('a full disk leaves the old snapshot as it was, and nothing half-written', {
    skip: !hasDisk && 'mounting is not permitted',
  }, () => {
    writeFileSync(join(disk, 'old.json'), 'old');
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(56 * 1024));
    const { status, stdout, stderr } = runTool(['snapshot', 'all', '-o', join(disk, 'old.json')]);
    assert.equal(
      stderr,
      `unclosed: Cannot write snapshot "${join(disk, 'old.json')}": the disk is full (ENOSPC). Try another file.\n`,
    );
    assert.deepEqual([status, stdout], [2, '']);
    assert.deepEqual(readdirSync(disk).sort(), ['ballast', 'old.json']);
    assert.equal(readFileSync(join(disk, 'old.json'), 'utf8'), 'old');
  });

  it('a snapshot goes to a Unix path, and through a pipe', () => {
    const { status, stderr } = runTool(['snapshot', quiet.pid, '-o', join(directory, 'ünï.json')]);
    assert.deepEqual([status, stderr], [0, '']);
    const piped = runTool(['snapshot', quiet.pid]);
    const withoutTime = (/** @type {string} */ text) => text.replace(/"taken":"[^"]*"/, '');
    assert.equal(withoutTime(piped.stdout), withoutTime(readFileSync(join(directory, 'ünï.json'), 'utf8')));
    assert.equal(runTool(['diff', 'ünï.json', join(directory, 'ünï.json'), '--fail-on-growth']).status, 0);
  });

  it('a snapshot that is interrupted leaves no file and nothing half-written', async () => {
    const many = await start('holds-handles', '50000', 'named');
    try {
      const folder = join(directory, 'interrupted');
      mkdirSync(folder);
      const child = spawn(process.execPath, [tool, 'snapshot', many.pid, '-o', 'many.json'], {
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text) => (stderr += text));
      const ended = new Promise((resolve) => child.on('close', resolve));
      // It writes beside the file that is to be; then it is at work.
      while (readdirSync(folder).length === 0) await new Promise((resolve) => setTimeout(resolve, 20));
      child.kill('SIGINT');
      assert.deepEqual([await ended, stderr], [130, '']);
      assert.deepEqual(readdirSync(folder), []);
    } finally {
      many.end();
    }
  });

  it('watch draws over what it drew before on a terminal, and a verdict at the end', async () => {
    const command = `'${process.execPath}' '${tool}' watch ${quiet.pid} --interval 100ms --for 1500ms`;
    const { stdout } = await inTerminal(command);
    const frames = stdout.split(/\x1b\[\d+F\x1b\[J/);
    assert.ok(frames.length >= 8, `${frames.length} frames`);
    assert.match(frames[1] ?? '', /stays-quiet\.exe \(\d+\)[^]*COUNT +CHANGE +RATE[^]*Event/);
    // Each frame goes back by as many lines as the frame before it had.
    const backs = [...stdout.matchAll(/\x1b\[(\d+)F/g)].map((match) => Number(match[1]));
    frames.slice(0, -1).forEach((frame, index) => assert.equal(frame.split('\n').length - 1, backs[index]));
    assert.match(stdout, /✓ Nothing grows steadily\./);
  });

  it('watch ends with its verdict and exit code 130 on Ctrl-C', async () => {
    const child = spawn(process.execPath, [tool, 'watch', quiet.pid, '--interval', '100ms'], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    child.stdout.setEncoding('utf8').on('data', (text) => {
      stdout += text;
      if (stdout.split('\n').length === 12) child.kill('SIGINT');
    });
    const status = await new Promise((resolve) => child.on('close', resolve));
    assert.equal(status, 130);
    assert.match(stdout, /samples in [^;]+; interrupted\.\n✓ Nothing grows steadily\.\n$/);
  });

  it('watch ends when its output has no reader', () => {
    const { status } = spawnSync('sh', [
      '-c',
      `'${process.execPath}' '${tool}' watch ${quiet.pid} --interval 50ms | head -n 2`,
    ]);
    assert.equal(status, 0);
  });
});
