import { setTimeout as sleep } from 'node:timers/promises';

import { attach } from '../../dist/audit/index.js';
import { findProcess, listProcesses } from '../../dist/process/processes.js';
import { setEvent, startReady, startWorking } from '../attached/working-target.js';
import { say, spell, spellCount } from '../measure.js';
import { check } from './check.js';
import { isPlanted, isRight, serious } from './planted.js';
import { countSuspended, ownPeakMB } from './threads-and-memory.js';

/** @import { Report } from '../../dist/model.js' */
/** @import { ReadyTarget } from '../attached/working-target.js' */

const ROUNDS = 3;

/**
 * Attaches to a process with many threads that open and close handles.
 *
 * @param {{ threads: number }} sizes
 */
export async function attachToManyThreads({ threads }) {
  const target = await startWorking(threads, { leakEveryMs: 20, restMs: 1000 });
  await attachAndLeave(target, `${spellCount(threads)} threads`, { forMs: 3000 });
}

/**
 * Attaches to a process that loads DLLs and unloads them without end.
 *
 * @param {{ rounds: number }} sizes
 */
export async function attachToLoader({ rounds }) {
  await attachAndLeave(await startReady('loads-without-end', []), 'DLLs come and go', { forMs: 1000, rounds });
}

/**
 * Attaches to a process that has hooked ntdll in itself, and to one that hooks it while it is attached to and gives it
 * back afterwards.
 *
 * @param {{ rounds: number }} sizes
 */
export async function attachToHooker({ rounds }) {
  // NtClose and NtCreateEvent have no known shape: the events are not recorded, and the report says so.
  await attachAndLeave(await startReady('hooks-ntdll', ['before']), 'ntdll hooked before', {
    forMs: 500,
    rounds,
    isRight: (report) => serious(report).length === 0 && unrecognised(report).join() === 'NtClose,NtCreateEvent',
  });
  await hookWhileAttached(rounds);
}

/** @param {number} rounds */
async function hookWhileAttached(rounds) {
  const target = await startReady('hooks-ntdll', ['after']);
  const toggle = () => setEvent(`unclosed-go-${target.pid}`);
  let heard = true;
  await attachAndLeave(target, 'ntdll hooked while attached', {
    forMs: 1000,
    rounds,
    meanwhile: async () => {
      await sleep(200);
      toggle();
    },
    afterwards: async (round) => {
      heard &&= await hearCount(target, 'hooked', round);
      toggle();
      heard &&= await hearCount(target, 'unhooked', round);
    },
    isRight: (report) => report.findings.some(isPlanted) && serious(report).length === 0,
  });
  check(heard, 'the target could put its hooks in and out');
}

/** @param {ReadyTarget} target @param {string} word @param {number} count */
async function hearCount(target, word, count) {
  for (const end = Date.now() + 10_000; Date.now() < end; await sleep(5))
    if (target.output().match(new RegExp(`^${word}\\r?$`, 'gm'))?.length === count) return true;
  return false;
}

/**
 * Attaches to a process with many open handles.
 *
 * @param {{ handles: number }} sizes
 */
export async function attachToManyHandles({ handles }) {
  const target = await startReady('keeps-many-open', [handles]);
  await attachAndLeave(target, `${spellCount(handles)} handles`, { forMs: 3000 });
}

/**
 * Attaches to a target some times. It must go on afterwards with as many threads as before, and end as it does alone.
 *
 * @param {ReadyTarget} target
 * @param {string} what
 * @param {object} options
 * @param {number} options.forMs
 * @param {number} [options.rounds]
 * @param {() => Promise<void>} [options.meanwhile]
 * @param {(round: number) => Promise<void>} [options.afterwards]
 * @param {(report: Report) => boolean} [options.isRight]
 */
async function attachAndLeave(
  target,
  what,
  { forMs, rounds = ROUNDS, meanwhile, afterwards, isRight: isReportRight = isRight },
) {
  /** @type {number[]} */
  const standing = [];
  /** @type {number[]} */
  const tookMs = [];
  let right = 0;
  const threads = countThreads(target.pid);
  for (let round = 1; round <= rounds; round += 1) {
    const started = performance.now();
    const report = await attach({
      processes: [findProcess(String(target.pid))],
      forMs,
      everyMs: forMs / 10,
      onAttached: (_process, ms) => {
        standing.push(ms);
        void meanwhile?.();
      },
    });
    tookMs.push(performance.now() - started);
    if (isReportRight(report)) right += 1;
    else say(`  round ${round}: ${serious(report).join('; ') || describe(report)}`);
    await afterwards?.(round);
  }
  const suspended = countSuspended(target.pid);
  const more = countThreads(target.pid) - threads;
  const { exitCode, rounds: done } = await target.stop();
  say(
    `${what}: ${right} of ${rounds} reports right; the target made ${done} rounds and ended with ${exitCode}; it stood still for ${spell(standing, 0)} ms; an attach of ${forMs} ms took ${spell(tookMs, 0)} ms; peak ${ownPeakMB().toFixed(0)} MB`,
  );
  check(right === rounds && exitCode === 0, `${what}: every report is right, and the target ends as it would have`);
  check(suspended === 0 && more === 0, `${what}: no thread is suspended or left behind`);
}

/** @param {number} pid */
function countThreads(pid) {
  return listProcesses().find(({ processId }) => processId === pid)?.threadCount ?? 0;
}

/** @param {Report} report */
function unrecognised({ completeness }) {
  return completeness.gaps.flatMap((gap) => (gap.kind === 'calls-unrecognised' ? gap.names : []));
}

/** @param {Report} report */
function describe({ findings, completeness }) {
  return JSON.stringify({
    findings: findings.map(({ level, message }) => `${level} ${message}`),
    gaps: completeness.gaps,
  });
}
