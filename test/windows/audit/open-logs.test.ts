import { mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { openLogs } from '../../../src/audit/open-logs.ts';
import { isWine } from '../../../src/ffi/ntdll.ts';
import { HandleTable } from '../../../src/handles/enumerate.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { RunningProcess } from '../../../src/process/running-process.ts';
import { runOnLinux } from '../wine/on-linux.ts';
import { Target } from '../target.ts';

const scratch = mkdtempSync(join(tmpdir(), 'unclosed-logs-'));
afterAll(() => rmSync(scratch, { recursive: true, force: true }));

describe('the log of a process that shares it with no other', () => {
  it('is read, and goes on where the process was', async () => {
    using target = await Target.start('keeps-log-for-itself', scratch);
    using running = RunningProcess.open(findProcess(String(target.processId)));
    const path = join(scratch, `isolate0x1000-${target.processId}-v8.log`);
    expect(() => openSync(path, 'r')).toThrow('EBUSY');

    const logs = await openLogs(scratch, running, () => HandleTable.readProcess(running, running.pid));
    expect(logs.map(({ bytes }) => bytes.read(0, bytes.sizeBytes)?.toString())).toEqual(['first\n']);
    for (const { bytes } of logs) bytes[Symbol.dispose]();

    expect((await target.stop()).exitCode).toBe(0);
    expect(readFileSync(path, 'utf8')).toBe('first\nsecond\n');
  });

  // Windows and Wine refuse to shorten a file that is mapped, and Linux does not: so it stands for a disk that fails.
  it.runIf(isWine)('is not read where its bytes are gone', async () => {
    const directory = mkdtempSync('Z:\\tmp\\unclosed-logs-');
    try {
      using target = await Target.start('keeps-log-for-itself', directory);
      using running = RunningProcess.open(findProcess(String(target.processId)));
      const [log] = await openLogs(directory, running, () => HandleTable.readProcess(running, running.pid));
      using bytes = log!.bytes;
      await runOnLinux('truncate -s 0 "$1"', join(directory, readdirSync(directory)[0]!));
      expect(bytes.read(0, bytes.sizeBytes)).toBeUndefined();
      await target.stop();
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });

  it('is left out where its handles cannot be asked for any more', async () => {
    using target = await Target.start('keeps-log-for-itself', scratch);
    using running = RunningProcess.open(findProcess(String(target.processId)));
    expect(await openLogs(scratch, running, () => undefined)).toEqual([]);
    expect((await target.stop()).exitCode).toBe(0);
  });
});

it('logs of other processes are not opened', async () => {
  using target = await Target.start('keeps-log-for-itself', scratch);
  using running = RunningProcess.open(findProcess(String(target.processId)));
  const directory = mkdtempSync(join(scratch, 'others-'));
  for (const name of ['isolate0x1000-1-v8.log', `isolate0x1000-${running.pid}1-v8.log`, 'v8.log'])
    writeFileSync(join(directory, name), 'other\n');
  expect(await openLogs(directory, running, () => HandleTable.readProcess(running, running.pid))).toEqual([]);
  expect(readdirSync(directory)).toHaveLength(3);
  await target.stop();
});
