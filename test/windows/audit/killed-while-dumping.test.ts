// An auditor that is killed in the midst of writing a minidump, while threads of the program are suspended.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdirSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as yieldToEvents, setTimeout as sleep } from 'node:timers/promises';

import { afterEach, beforeEach, expect, it } from 'vitest';

import { PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE } from '../../../src/ffi/constants.ts';
import { TerminateProcess } from '../../../src/ffi/kernel32.ts';
import type { OwnedHandle } from '../../../src/io/index.ts';
import { readExitCode } from '../../../src/process/exit-code.ts';
import { openProcess } from '../../../src/process/processes.ts';
import { fixturePath, toolPath } from '../tool.ts';

const PROCESS_TERMINATE = 0x1;

const program = 'double-closes-among-threads';

let folder: string;
let handle: OwnedHandle | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'unclosed-dump-'));
  mkdirSync(join(folder, 'dumps'));
});
afterEach(() => {
  if (handle !== undefined) TerminateProcess(handle.asRawHandle(), 1); // one that stands still would stay for ever
  handle?.[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
});

/** Names and sizes of the minidumps. */
const dumps = (): readonly (readonly [string, number])[] =>
  readdirSync(join(folder, 'dumps')).map((name) => [name, statSync(join(folder, 'dumps', name)).size]);

it('lets the program go on with all of its threads, and no unfinished minidump looks like a whole one', async () => {
  const output = join(folder, 'stdout');
  const stdout = openSync(output, 'w');
  const args = ['run', '--dump-on', `double-close=${join(folder, 'dumps')}`, '--', fixturePath(program)];
  const auditor = spawn(process.execPath, [toolPath, ...args], { stdio: ['ignore', stdout, 'ignore'] });
  closeSync(stdout);
  const hasEnded = once(auditor, 'exit');
  let ready: RegExpExecArray | null = null;
  while ((ready = /^ready (\d+)\r?$/m.exec(readFileSync(output, 'utf8'))) === null) await sleep(5);
  const processId = Number(ready[1]);
  handle = openProcess(processId, SYNCHRONIZE | PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_TERMINATE);
  // The registers of all threads take five times as much. Wine suspends each thread while it writes those of it.
  while (!dumps().some(([, sizeBytes]) => sizeBytes > 60_000)) {
    if (auditor.exitCode !== null) throw new Error('The audit is over, and there is no minidump.');
    await yieldToEvents();
  }
  auditor.kill();
  await hasEnded;

  let exitCode: number | undefined;
  while ((exitCode = readExitCode(handle, processId)) === undefined) await sleep(20);
  expect(exitCode).toBe(7);
  expect(dumps().map(([name]) => name)).toEqual([
    expect.stringMatching(/^double-closes-among-threads-\d+-double-close-1\.dmp\.\d+\.unfinished$/),
  ]);
});
