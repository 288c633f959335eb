// Audits whose Wine server ends, and audits that start together before one runs. They have a prefix of their own, which
// the tests end again and again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcesses, isAlive, killProcesses, variableOf } from '../../../launcher/processes.js';
import { findServer } from '../../../launcher/server.js';
import { fixtures, makeDirectory, skip, tool } from '../run/shell.js';
import { makeHome, prefixesIn } from './own-home.js';

// Each round kills the server at another moment. More of them, as UNCLOSED_ROUNDS=20, come closer to every moment.
const ROUNDS = Number(process.env['UNCLOSED_ROUNDS'] ?? 6);
const program = join(fixtures, 'double-closes-event.exe');

/**
 * @typedef {object} AuditEnd
 * @property {number | null} code
 * @property {string} stdout
 * @property {string} stderr
 */

describe('an audit', { skip }, () => {
  const home = makeHome();
  const directory = makeDirectory();
  let prefix = '';
  let auditMs = 0;

  before(async () => {
    const { code, stderr } = await audit().ended;
    assert.equal(code, 1, stderr);
    [prefix = ''] = prefixesIn(home);
    const start = performance.now();
    await audit().ended;
    auditMs = performance.now() - start;
  });

  let count = 0;
  /**
   * Starts an audit with its output in files, for the services of Wine may hold a pipe open.
   *
   * @returns {{ outputs: string[], ended: Promise<AuditEnd> }}
   */
  function audit() {
    count += 1;
    const outputs = ['out', 'err'].map((name) => join(directory, `${count}.${name}`));
    const [stdout = 0, stderr = 0] = outputs.map((path) => openSync(path, 'w'));
    const child = spawn(process.execPath, [tool, 'run', '--json', '--', program], {
      env: { ...process.env, UNCLOSED_HOME: home, TMPDIR: directory },
      stdio: ['ignore', stdout, stderr],
    });
    closeSync(stdout);
    closeSync(stderr);
    const read = (/** @type {number} */ index) => readFileSync(outputs[index] ?? '', 'utf8');
    return {
      outputs,
      ended: new Promise((resolve) => child.on('exit', (code) => resolve({ code, stdout: read(0), stderr: read(1) }))),
    };
  }

  /** @returns {string | undefined} what stood in the environment of all that hung on the server */
  function killServer() {
    const server = findServer(prefix);
    if (server === undefined) return undefined;
    const session = variableOf(server.pid, 'UNCLOSED_SESSION');
    process.kill(server.pid, 'SIGKILL');
    return session;
  }

  /**
   * Either the report is whole, or the exit code and a line say that there is none.
   *
   * @param {AuditEnd} end
   */
  function assertHonest({ code, stdout, stderr }) {
    if (code === 1) assert.equal(JSON.parse(stdout).findings[0].rule, 'double-close');
    else {
      assert.equal(code, 2, stderr);
      assert.match(stderr, /^unclosed: Cannot (?:finish|start)\b.*wine-.*\. Try /m);
    }
  }

  for (const isWarm of [true, false]) {
    it(`whose server is killed at any moment${isWarm ? '' : ', also while it starts one,'} is whole or says that it is not, ${ROUNDS} times`, async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        killProcesses(`WINEPREFIX=${prefix}`);
        if (isWarm) await audit().ended;
        const { ended } = audit();
        await sleep((auditMs * (isWarm ? 1.1 : 2) * round) / ROUNDS);
        const session = killServer();
        const end = await ended;
        assertHonest(end);
        // An audit that had its report before cannot have noticed.
        if (end.code === 2 && session !== undefined) assert.deepEqual(findProcesses(`UNCLOSED_SESSION=${session}`), []);
      }
    });
  }

  it(`whose server is killed while others start a new one is whole or says that it is not, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      await audit().ended;
      const { ended } = audit();
      await sleep((auditMs * 1.1 * round) / ROUNDS);
      killServer();
      // The new server is not idle before the audit that lost its own has ended.
      let isOver = false;
      const end = ended.finally(() => (isOver = true));
      do assertHonest(await audit().ended);
      while (!isOver);
      assertHonest(await end);
    }
  });

  it(`that starts together with another where no server runs leaves its output to no other process, ${ROUNDS} times`, async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      killProcesses(`WINEPREFIX=${prefix}`);
      const first = audit();
      await sleep(round);
      const second = audit();
      for (const { code, stderr } of await Promise.all([first.ended, second.ended])) assert.equal(code, 1, stderr);
      const left = findProcesses(`WINEPREFIX=${prefix}`);
      assert.notDeepEqual(left, [], 'the services live on for seconds');
      const outputs = [...first.outputs, ...second.outputs];
      assert.deepEqual(
        left.filter(({ pid }) => isAlive(pid) && listOpenFiles(pid).some((path) => outputs.includes(path))),
        [],
      );
    }
  });
});

/**
 * @param {number} pid
 * @returns {string[]}
 */
function listOpenFiles(pid) {
  const directory = `/proc/${pid}/fd`;
  try {
    return readdirSync(directory).map((fd) => readlinkSync(join(directory, fd)));
  } catch {
    return []; // it ended meanwhile
  }
}
