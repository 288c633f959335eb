import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { expect, test } from 'vitest';

import { WaitForSingleObject } from '../../../src/ffi/kernel32.ts';
import { listProcesses } from '../../../src/process/processes.ts';
import { StartedProcess } from '../../../src/process/spawn.ts';
import { StandardStreams } from '../../../src/process/streams/standard-streams.ts';
import { HANG_MS } from '../../hang.ts';
import { fixturePath } from '../tool.ts';

const STATUS_CONTROL_C_EXIT = 0xc000_013a;

async function start(name: string): Promise<StartedProcess> {
  using streams = new StandardStreams({ stdout: 'stdout' });
  const { stdin, stdout, stderr } = streams;
  return await StartedProcess.spawn({ program: fixturePath(name), args: [], stdin, stdout, stderr });
}

function waitFor(target: StartedProcess): void {
  expect(WaitForSingleObject(target.asHandle().asRawHandle(), HANG_MS)).toBe(0);
}

test('a process that is ended by us has the exit code of one that Ctrl-C ends, also when it is ended twice', async () => {
  using target = await start('stays-quiet');
  target.terminate();
  target.terminate();
  waitFor(target);
  expect(target.exitCode()).toBe(STATUS_CONTROL_C_EXIT);
});

test('a process that has ended by itself keeps its exit code when it is ended', async () => {
  using target = await start('does-nothing');
  target.resume();
  waitFor(target);
  target.terminate();
  expect(target.exitCode()).toBe(0);
});

test.each([
  ['that has not begun ends', 'new', false],
  ['that runs goes on', 'running', true],
  ['that stands suspended ends', 'stopped', false],
])('a process %s when the one that started it is killed', async (_, state, goesOn) => {
  const script = fileURLToPath(new URL('starts-suspended.mjs', import.meta.url));
  const starter = spawn(process.execPath, [script, fixturePath('stays-quiet'), state], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(starter.stdout, 'data')) as [Buffer];
  const pid = Number(/^pid (\d+)/.exec(String(line))![1]);
  starter.kill('SIGKILL');
  await once(starter, 'exit');
  const isThere = (): boolean => listProcesses().some(({ processId }) => processId === pid);
  if (goesOn) await sleep(300);
  else await expect.poll(isThere).toBe(false);
  expect(isThere()).toBe(goesOn);
  if (goesOn) process.kill(pid);
});
