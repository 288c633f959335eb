import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { attach } from '../../dist/audit/index.js';
import { PROCESS_QUERY_INFORMATION } from '../../dist/ffi/constants.js';
import { VirtualQueryEx } from '../../dist/ffi/kernel32.js';
import { HandleTable } from '../../dist/handles/enumerate.js';
import { findProcess, listProcesses, openProcess } from '../../dist/process/processes.js';
import { say, spell, tool } from '../measure.js';
import { startWorking } from './working-target.js';

/** @import { WorkingTarget } from './working-target.js' */

/**
 * Attaches to real processes in ways that may harm them.
 *
 * @param {{ cycles: number, kills: number, ends: number }} sizes
 * @throws Error when anything was harmed
 */
export async function tryToHarm({ cycles, kills, ends }) {
  await attachAgainAndAgain(cycles);
  const auditors = await killAuditors(kills);
  await endTargets(ends);
  const ours = new Set([process.pid, ...auditors]);
  const children = () => listProcesses().filter(({ parentId }) => ours.has(parentId));
  // A process whose parent is killed in the midst of CreateProcess stays suspended for ever (docs/platform.md).
  for (const { processId } of children().filter(({ threadCount }) => threadCount === 1)) process.kill(processId);
  const count = () => children().length;
  let left = count();
  for (const end = Date.now() + 60_000; left > 0 && Date.now() < end; left = count()) await sleep(100);
  say(`processes left behind: ${left}`);
  check(left === 0, 'nothing is left behind');
}

/**
 * Attaches to one process and leaves it, many times, while its threads work without pause.
 *
 * @param {number} cycles
 */
async function attachAgainAndAgain(cycles) {
  const target = await startWorking(8, { leakEveryMs: 5 });
  const handles = () => HandleTable.readSystem().ofProcess(target.pid).count;
  let right = 0;
  let firstMB = 0;
  let lastMB = 0;
  /** @type {number[]} */
  const standing = [];
  for (let cycle = 0; cycle < cycles; cycle += 1) {
    const { findings } = await attach({
      processes: [findProcess(String(target.pid))],
      forMs: 300,
      everyMs: 30,
      onAttached: (_process, ms) => standing.push(ms),
    });
    const wrong = findings.filter((finding) => finding.level !== 'note' && !isPlanted(finding));
    if (wrong.length === 0 && findings.some(isPlanted)) right += 1;
    else say(`  cycle ${cycle}: ${wrong.map(({ level, rule, message }) => `${level} ${rule} ${message}`).join('; ')}`);
    lastMB = committedMB(target.pid);
    if (cycle === 0) firstMB = lastMB;
  }
  const open = handles();
  const { exitCode, rounds } = await target.stop();
  say(`${cycles} cycles: ${right} reports right; the target made ${rounds} rounds and ended with ${exitCode}`);
  say(
    `  stood still for ${spell(standing, 0)} ms; ${firstMB.toFixed(1)} MB committed after the first cycle, ${lastMB.toFixed(1)} MB after the last; ${open} handles`,
  );
  check(exitCode === 0 && right === cycles, 'every report is right, and the target ends as it would have');
}

/**
 * Kills auditors at random moments of an attach. The target must go on, and a new attach must work.
 *
 * @param {number} kills
 * @returns {Promise<readonly number[]>} the process ids of the auditors
 */
async function killAuditors(kills) {
  const target = await startWorking(8, { leakEveryMs: 5 });
  /** @type {number[]} */
  const auditors = [];
  let alive = 0;
  for (let kill = 0; kill < kills; kill += 1) {
    const auditor = spawn(process.execPath, [tool, 'attach', String(target.pid), '--for', '400ms'], {
      stdio: 'ignore',
    });
    auditors.push(auditor.pid ?? 0);
    const ended = once(auditor, 'exit');
    await sleep(Math.random() * 1500);
    auditor.kill('SIGKILL');
    await ended;
    if (await works(target)) alive += 1;
  }
  const { findings } = await attach({ processes: [findProcess(String(target.pid))], forMs: 500, everyMs: 50 });
  const isRight =
    findings.some(isPlanted) && findings.every((finding) => finding.level === 'note' || isPlanted(finding));
  const { exitCode } = await target.stop();
  say(
    `${kills} auditors killed: the target went on ${alive} times, and ended with ${exitCode}; a later attach was ${isRight ? 'right' : 'wrong'}`,
  );
  check(exitCode === 0 && alive === kills && isRight, 'a target outlives its auditors');
  return auditors;
}

/**
 * Ends targets at random moments while they are recorded: a report must come.
 *
 * @param {number} ends
 */
async function endTargets(ends) {
  let reports = 0;
  for (let end = 0; end < ends; end += 1) {
    const target = await startWorking(4, { leakEveryMs: 5 });
    const isKilled = end % 2 === 0;
    const attached = attach({ processes: [findProcess(String(target.pid))], forMs: 20_000 }).catch((error) => error);
    await sleep(Math.random() * 1200);
    if (isKilled) target.child.kill();
    else void target.stop();
    const result = await attached;
    if (
      result instanceof Error
        ? /it has ended, with exit code/.test(result.message)
        : result.target.exitCode !== undefined
    )
      reports += 1;
    else say(`  ${isKilled ? 'killed' : 'stopped'}: ${result instanceof Error ? result.stack : 'no exit code'}`);
  }
  say(`${ends} targets ended while they were recorded: ${reports} reports, or errors that say so`);
  check(reports === ends, 'a target that ends leaves a report');
}

/**
 * The leak of works-without-pause. On a busy machine it does not grow in every interval, and is a note.
 *
 * @param {import('../../dist/model.js').Finding} finding
 */
function isPlanted({ rule, stacks }) {
  return rule === 'leak' && stacks.opened?.some((frame) => frame.function === 'leak_event') === true;
}

/** @param {WorkingTarget} target whose handles come and go as long as its threads run */
async function works({ pid }) {
  const before = processorTimeOf(pid);
  for (let tries = 0; tries < 1000; tries += 1) {
    await sleep(20);
    if (processorTimeOf(pid) > before) return true;
  }
  return false;
}

/** @param {number} pid */
function processorTimeOf(pid) {
  return listProcesses().find(({ processId }) => processId === pid)?.processorTime ?? 0n;
}

/** @param {number} pid */
function committedMB(pid) {
  const process = openProcess(pid, PROCESS_QUERY_INFORMATION);
  try {
    let sizeBytes = 0;
    for (let address = 0n; ; ) {
      const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
      if (VirtualQueryEx(process.asRawHandle(), address, region, 48n) === 0n) return sizeBytes / 1e6;
      if (region.readUInt32LE(32) === 0x1000) sizeBytes += Number(region.readBigUInt64LE(24)); // MEM_COMMIT
      address = region.readBigUInt64LE(0) + region.readBigUInt64LE(24);
    }
  } finally {
    process[Symbol.dispose]();
  }
}

/**
 * @param {boolean} holds
 * @param {string} what
 */
function check(holds, what) {
  if (!holds) throw new Error(`It does not hold that ${what}.`);
}
