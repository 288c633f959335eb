import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { CreateEventW, SetEvent } from '../../dist/ffi/kernel32.js';
import { HandleOrNull } from '../../dist/io/index.js';
import { fixture } from '../measure.js';

/**
 * A process of a fixture that has said that it is ready.
 *
 * @typedef {object} ReadyTarget
 * @property {number} pid
 * @property {import('node:child_process').ChildProcess} child
 * @property {() => string} output all that it has said so far
 * @property {(word: string, ms?: number) => Promise<boolean>} hear resolves when it has said a word in a line of its
 *   own; to false when it has ended, or the time is up
 * @property {() => Promise<{ exitCode: number | null, rounds: number }>} stop asks it to end; the exit code is 0 when
 *   all that it did came out right
 */

/**
 * @param {string} program
 * @param {readonly (string | number)[]} args
 * @returns {Promise<ReadyTarget>} when it has said `ready <process id>`
 * @throws Error when it ends before
 */
export async function startReady(program, args) {
  const child = spawn(fixture(program), args.map(String), { stdio: ['pipe', 'pipe', 'inherit'] });
  child.stdin.on('error', () => {}); // it may end at any time
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  const ended = once(child, 'close');
  while (!/^ready \d+/m.test(output)) {
    if ((await Promise.race([once(child.stdout, 'data'), ended])).length > 1)
      throw new Error(`${program} ended with ${child.exitCode} before it was ready: ${output}`);
  }
  const pid = Number(/^ready (\d+)/m.exec(output)?.[1]);
  return {
    pid,
    child,
    output: () => output,
    async hear(word, ms = 60_000) {
      const said = new RegExp(`^${word}\\r?$`, 'm');
      const isOver = new AbortController();
      const timer = setTimeout(() => isOver.abort(), ms);
      ended.then(() => isOver.abort());
      try {
        while (!said.test(output)) await once(child.stdout, 'data', { signal: isOver.signal });
      } catch {
        return said.test(output);
      } finally {
        clearTimeout(timer);
      }
      return true;
    },
    async stop() {
      setEvent(`unclosed-stop-${pid}`);
      await ended;
      return { exitCode: child.exitCode, rounds: Number(/^rounds (\d+)/m.exec(output)?.[1] ?? 0) };
    },
  };
}

/**
 * Starts works-without-pause: its threads open, use and close handles, and check what comes back.
 *
 * @param {number} threads
 * @param {object} [options]
 * @param {number} [options.leakEveryMs] 0 for none
 * @param {number} [options.seconds] after which it ends by itself
 * @param {number} [options.restMs] of each thread after each round
 */
export async function startWorking(threads, { leakEveryMs = 0, seconds = 3600, restMs = 0 } = {}) {
  return await startReady('works-without-pause', [threads, leakEveryMs, seconds, restMs]);
}

/**
 * Sets an event that another process has made.
 *
 * @param {string} name
 */
export function setEvent(name) {
  const event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, name)).expect('open event', name);
  try {
    SetEvent(event.asRawHandle());
  } finally {
    event[Symbol.dispose]();
  }
}
