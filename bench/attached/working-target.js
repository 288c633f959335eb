import { spawn } from 'node:child_process';
import { once } from 'node:events';

import { CreateEventW, SetEvent } from '../../dist/ffi/kernel32.js';
import { HandleOrNull } from '../../dist/io/index.js';
import { fixture } from '../measure.js';

/**
 * A process of works-without-pause: its threads open, use and close handles, and check what comes back.
 *
 * @typedef {object} WorkingTarget
 * @property {number} pid
 * @property {import('node:child_process').ChildProcess} child
 * @property {() => Promise<{ exitCode: number | null, rounds: number }>} stop asks it to end; its exit code is 0 when
 *   all that it did came out right
 */

/**
 * @param {number} threads
 * @param {object} [options]
 * @param {number} [options.leakEveryMs] 0 for none
 * @param {number} [options.seconds] after which it ends by itself
 * @param {number} [options.restMs] of each thread after each round
 * @returns {Promise<WorkingTarget>} when it works
 */
export async function startWorking(threads, { leakEveryMs = 0, seconds = 3600, restMs = 0 } = {}) {
  const args = [threads, leakEveryMs, seconds, restMs].map(String);
  const child = spawn(fixture('works-without-pause'), args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  while (!output.includes('\n')) await once(child.stdout, 'data');
  const pid = Number(/^ready (\d+)/.exec(output)?.[1]);
  return {
    pid,
    child,
    async stop() {
      const closed = once(child, 'close');
      setEvent(`unclosed-stop-${pid}`);
      await closed;
      return { exitCode: child.exitCode, rounds: Number(/^rounds (\d+)/m.exec(output)?.[1] ?? 0) };
    },
  };
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
