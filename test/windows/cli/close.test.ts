import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { HandleToClose } from '../../../src/handles/handle-to-close.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { Target } from '../handles/target.ts';
import { Target as Changing } from '../target.ts';
import { runTool } from '../tool.ts';
import { list } from './listing.ts';

describe('unclosed close', () => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start('holds-states');
  });
  afterAll(() => target?.[Symbol.dispose]());

  async function isOpen(what: string): Promise<boolean> {
    const { handles } = await list(String(target.processId));
    return handles.some((row) => row['handle'] === target.value(what));
  }

  it('says what it is about to close, asks, and closes nothing without an answer', async () => {
    const run = await runTool(['close', String(target.processId), target.value('semaphore')]);
    expect(run.exitCode).toBe(1);
    expect(run.stderr).toMatch(
      /Semaphore[^]*Close 0x[0-9a-f]+\? \[y\/N\] [^]*Nothing was closed: there was no answer\. Try --yes\.\n$/,
    );
    expect(await isOpen('semaphore')).toBe(true);
  });

  it.each([
    ['n\n', 1, true],
    ['y\n', 0, false],
  ])('after the answer %j it exits with %i', async (answer, exitCode, staysOpen) => {
    const tool = fileURLToPath(new URL('../../../bin/unclosed.cjs', import.meta.url));
    const child = spawn(process.execPath, [tool, 'close', String(target.processId), target.value('free-mutex')], {
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    child.stdin.end(answer);
    await once(child, 'exit');
    expect(child.exitCode).toBe(exitCode);
    expect(await isOpen('free-mutex')).toBe(staysOpen);
  });

  it('leaves another object alone that has got the value while the user thought', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-close-'));
    const request = join(directory, 'change');
    const changing = await Changing.start('changes-on-request', request);
    try {
      const { handles } = await list(String(changing.processId), '--name', `unclosed-before-${changing.processId}`);
      const value = String(handles[0]!['handle']);
      const tool = fileURLToPath(new URL('../../../bin/unclosed.cjs', import.meta.url));
      const child = spawn(process.execPath, [tool, 'close', String(changing.processId), value], {
        stdio: ['pipe', 'ignore', 'pipe'],
      });
      let stderr = '';
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      while (!stderr.includes('[y/N]')) await once(child.stderr, 'data');
      writeFileSync(request, '');
      await changing.hear('changed');
      child.stdin.end('y\n');
      await once(child, 'close');
      expect(child.exitCode).toBe(1);
      expect(stderr).toMatch(
        /unclosed: Did not close 0x[0-9a-f]+ of changes-on-request\.exe \(\d+\), Event .*: its value belongs to another object now\.\n$/,
      );
      expect(
        (await list(String(changing.processId), '--name', 'unclosed-after')).handles.map((row) => row['handle']),
      ).toEqual([value]);
    } finally {
      changing[Symbol.dispose]();
      rmSync(directory, { recursive: true });
    }
  });

  it('does not open a process that has the id of one that was listed', () => {
    const info = findProcess(String(target.processId));
    const before = { ...info, startTime: info.startTime - 1n };
    const open = (): unknown => new HandleToClose(before, BigInt(target.value('semaphore')), 'holds-states.exe');
    expect(open).toThrow('Cannot find process holds-states.exe: it has ended.');
  });

  it('closes with --yes, says so, and the handle is gone', async () => {
    const { exitCode, stdout, stderr } = await runTool([
      'close',
      String(target.processId),
      target.value('section'),
      '--yes',
    ]);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    expect(stdout).toBe(
      `Closed ${target.value('section')} of holds-states.exe (${target.processId}), Section without a name.\n`,
    );
    expect(await isOpen('section')).toBe(false);
    const again = await runTool(['close', String(target.processId), target.value('section'), '--yes']);
    expect(again).toMatchObject({ exitCode: 2, stdout: '' });
    expect(again.stderr).toMatch(/^unclosed: Cannot find handle 0x/);
  });

  it('leaves a handle that is protected from close alone unless it is forced to try', async () => {
    const run = await runTool(['close', String(target.processId), target.value('protected-event'), '--yes']);
    expect(run).toMatchObject({ exitCode: 1, stdout: '' });
    expect(run.stderr).toMatch(/it is protected from close\. Try --force if you must\.\n$/);
    const forced = await runTool([
      'close',
      String(target.processId),
      target.value('protected-event'),
      '--yes',
      '--force',
    ]);
    // The message must be true, whatever Windows does with the call.
    expect(forced.exitCode === 0).toBe(!(await isOpen('protected-event')));
  });
});
