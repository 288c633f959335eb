import { readdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

import { listProcesses } from '../../dist/process/processes.js';
import { say } from '../measure.js';
import { check } from './check.js';
import { listNamedObjects } from './named-objects.js';
import { countSuspended } from './threads-and-memory.js';

/** @import { ProcessInfo } from '../../dist/process/processes.js' */

const LOOK_MS = 100;
const PATIENCE_MS = 60_000;

/** All that a scenario leaves behind: processes that come from this one, named objects, and temporary files. */
export class Traces {
  #objects = new Set(listNamedObjects());
  #files = new Set(listTemporaryFiles());
  /** Processes below this one, also those whose parents have ended since; by id and start. */
  #seen = new Map([[process.pid, 0n]]);
  #timer = setInterval(() => this.#look(), LOOK_MS);

  #look() {
    const listed = listProcesses();
    for (let isNew = true; isNew; ) {
      isNew = false;
      for (const each of listed) {
        if (this.#seen.has(each.processId) || !this.#isBelow(each)) continue;
        this.#seen.set(each.processId, each.startTime);
        isNew = true;
      }
    }
    return listed.filter(
      ({ processId, startTime }) => processId !== process.pid && this.#seen.get(processId) === startTime,
    );
  }

  /** An id is used again: the parent must have started before. @param {ProcessInfo} process */
  #isBelow({ parentId, startTime }) {
    const parent = this.#seen.get(parentId);
    return parent !== undefined && parent <= startTime;
  }

  /**
   * Waits until nothing is left, and says what is. A process whose parent was killed in the midst of CreateProcess
   * stays suspended for ever (docs/platform.md): it is ended here, and counted apart.
   */
  async finish() {
    const left = await this.#awaitEnd();
    clearInterval(this.#timer);
    const { processes, objects, files, neverStarted } = left;
    say(
      `  left behind: ${processes.length} processes, ${objects.length} named objects, ${files.length} files${neverStarted === 0 ? '' : `; ${neverStarted} processes were never started`}`,
    );
    for (const { name, processId, threadCount } of processes)
      say(`    ${name} ${processId}: ${countSuspended(processId)} of ${threadCount} threads suspended`);
    for (const name of [...objects, ...files]) say(`    ${name}`);
    for (const { processId } of processes) process.kill(processId);
    check(processes.length + objects.length + files.length === 0, 'nothing is left behind');
  }

  async #awaitEnd() {
    let neverStarted = 0;
    for (const end = Date.now() + PATIENCE_MS; ; await sleep(100)) {
      const processes = this.#look();
      const objects = listNamedObjects().filter((name) => !this.#objects.has(name));
      const files = listTemporaryFiles().filter((name) => !this.#files.has(name));
      if (processes.length + objects.length + files.length === 0 || Date.now() > end)
        return { processes, objects, files, neverStarted };
      if (Date.now() < end - PATIENCE_MS + 2000) continue; // it may be just starting
      for (const each of processes.filter((process) => isNeverStarted(process))) {
        neverStarted += 1;
        process.kill(each.processId);
      }
    }
  }
}

/** @param {ProcessInfo} process */
function isNeverStarted({ processId, threadCount, processorTime }) {
  return threadCount === 1 && processorTime < 500_000n && countSuspended(processId) === 1;
}

function listTemporaryFiles() {
  return readdirSync(tmpdir()).filter((name) => name.startsWith('unclosed'));
}
