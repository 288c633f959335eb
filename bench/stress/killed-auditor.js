import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE } from '../../dist/ffi/constants.js';
import { readExitCode } from '../../dist/process/exit-code.js';
import { listProcesses, openProcess } from '../../dist/process/processes.js';
import { say, tool, withDirectory } from '../measure.js';

/** The exit code of a program whose auditor is killed before the program's first instruction: a job ends it. */
export const NEVER_BEGAN = 0;

/**
 * An audit of a program whose auditor was killed.
 *
 * @typedef {object} Orphan
 * @property {number | undefined} pid of the program; undefined if the auditor had not started it yet
 * @property {() => string} output all that the program, and those below it, have said
 * @property {(ms: number) => Promise<number | undefined>} end waits for the program's end; gives its exit code, or
 *   undefined if it goes on
 * @property {() => void} forget gives back what was taken to look at it
 */

/**
 * How long an audit takes that is left alone: the moments of its life.
 *
 * @param {readonly string[]} args of the tool
 */
export async function measureAudit(args) {
  const started = performance.now();
  await once(spawn(process.execPath, [tool, ...args], { stdio: 'ignore' }), 'exit');
  return performance.now() - started;
}

/**
 * Runs a program under audit, and kills the auditor at some moment.
 *
 * @param {string} directory for the program's output
 * @param {readonly string[]} args of the tool
 * @param {number} afterMs
 * @returns {Promise<Orphan>}
 */
async function killAuditor(directory, args, afterMs) {
  const path = join(directory, 'output');
  const stdout = openSync(path, 'w');
  const auditor = spawn(process.execPath, [tool, ...args], { stdio: ['ignore', stdout, 'ignore'] });
  closeSync(stdout);
  const ended = once(auditor, 'exit');
  /** @type {{ pid: number, handle: import('../../dist/io/index.js').OwnedHandle } | undefined} */
  let program;
  const look = () => {
    if (program !== undefined) return;
    const found = listProcesses().find(({ parentId, name }) => parentId === auditor.pid && name !== 'node.exe');
    if (found === undefined) return;
    const handle = openProcess(found.processId, SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION);
    program = { pid: found.processId, handle };
  };
  const timer = setInterval(look, 15);
  await Promise.race([sleep(afterMs), ended]);
  auditor.kill('SIGKILL');
  await ended;
  clearInterval(timer);
  look();
  return {
    pid: program?.pid,
    output: () => readFileSync(path, 'utf8'),
    async end(ms) {
      for (const end = Date.now() + ms; program !== undefined; await sleep(10)) {
        const exitCode = readExitCode(program.handle, program.pid);
        if (exitCode !== undefined || Date.now() > end) return exitCode;
      }
      return undefined;
    },
    forget() {
      program?.handle[Symbol.dispose]();
      rmSync(path, { force: true, maxRetries: 5, retryDelay: 200 });
    },
  };
}

/**
 * Whether a program says a word, as the first one of a line, in time.
 *
 * @param {() => string} output
 * @param {string} word
 * @param {number} ms
 */
export async function hasSaid(output, word, ms) {
  const said = new RegExp(`^${word}\\b`, 'm');
  for (const end = Date.now() + ms; Date.now() < end; await sleep(10)) if (said.test(output())) return true;
  return false;
}

/**
 * Kills auditors at random moments of their lives, one after the other, and says what became of their programs.
 *
 * @param {object} story
 * @param {number} story.kills
 * @param {number} story.lifeMs of an auditor that is left alone
 * @param {(goesOn: boolean) => readonly string[]} story.args of the tool; by turns the program goes on
 * @param {(orphan: Orphan, goesOn: boolean) => Promise<{ result: string, isAttached: boolean }>} story.follow
 * @param {string} story.ran what the auditors did
 * @param {string} story.attaches whose later attaches are counted
 * @returns {Promise<boolean>} whether all programs came to an end that is right
 */
export async function killAgainAndAgain({ kills, lifeMs, args, follow, ran, attaches }) {
  return await withDirectory(async (directory) => {
    const results = { 'was not started': 0, 'never began': 0, 'ended right': 0 };
    let attached = 0;
    for (let kill = 0; kill < kills; kill += 1) {
      const goesOn = kill % 2 === 0;
      const afterMs = Math.random() * lifeMs;
      const orphan = await killAuditor(directory, args(goesOn), afterMs);
      const { result, isAttached } = await follow(orphan, goesOn);
      if (result in results) results[/** @type {keyof typeof results} */ (result)] += 1;
      else say(`  killed after ${afterMs.toFixed(0)} ms: ${result}`);
      if (isAttached) attached += 1;
      orphan.forget();
    }
    say(
      `${kills} auditors killed while they ran ${ran}: ${Object.entries(results)
        .map(([what, count]) => `it ${what} ${count} times`)
        .join(', ')}; ${attached} later ${attaches} right`,
    );
    return Object.values(results).reduce((sum, count) => sum + count) === kills;
  });
}
