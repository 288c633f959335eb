import { expect, it } from 'vitest';

import { PROCESS_QUERY_LIMITED_INFORMATION, SYNCHRONIZE } from '../../../src/ffi/constants.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../src/io/index.ts';
import { readExitCode } from '../../../src/process/exit-code.ts';
import {
  decodeProcesses,
  findProcess,
  findProcesses,
  listProcesses,
  openProcess,
  readImagePath,
  readNativeImagePath,
  readStartTime,
} from '../../../src/process/processes.ts';

it('this very process has its program’s path in both forms', () => {
  const own = BorrowedHandle.borrowRaw(CURRENT_PROCESS).asRawHandle();
  expect(readImagePath(own)?.toLowerCase()).toBe(process.execPath.toLowerCase());
  expect(readNativeImagePath(own)).toMatch(/^\\.*\\node\.exe$/i);
});

it('this very process is in the list, and found by its id, but not by its name', () => {
  const processes = listProcesses();
  const own = processes.find(({ processId }) => processId === process.pid);
  expect(own).toMatchObject({ name: 'node.exe', parentId: process.ppid });
  expect(own!.threadCount).toBeGreaterThan(0);
  expect(Number(own!.startTime / 10_000n) - 11_644_473_600_000).toBeLessThanOrEqual(Date.now());
  const other = { ...own!, processId: 999_999 };
  for (const name of ['NODE.exe', 'node']) expect(findProcesses(name, [own!, other])).toEqual([other]);
  expect(findProcesses(`node,${process.pid}`, processes).filter((found) => found === own)).toHaveLength(1);
  expect(findProcess(String(process.pid), processes)).toBe(own);
  expect(findProcesses('all', processes)).toBe(processes);
});

it('a process’s own handle tells the start that the list has', () => {
  const own = listProcesses().find(({ processId }) => processId === process.pid);
  expect(readStartTime(BorrowedHandle.borrowRaw(CURRENT_PROCESS), process.pid)).toBe(own!.startTime);
});

it('a process that may not be waited for is not taken for one that runs', () => {
  using own = openProcess(process.pid, PROCESS_QUERY_LIMITED_INFORMATION);
  expect(() => readExitCode(own, process.pid)).toThrow(`whether process ${process.pid} has ended: `);
  using waitable = openProcess(process.pid, PROCESS_QUERY_LIMITED_INFORMATION | SYNCHRONIZE);
  expect(readExitCode(waitable, process.pid)).toBeUndefined();
});

it('a name that several processes have is refused where one is needed, with their ids', () => {
  const [first] = listProcesses();
  const twins = [first!, { ...first!, processId: 999_999 }];
  expect(() => findProcess(first!.name, twins)).toThrow(
    /2 processes have that name\. Try one of their ids: \d+, 999999\./,
  );
});

it('any damaged list gives what can be read of it, and ends', () => {
  const table = Buffer.alloc(288);
  for (let position = 0; position < table.length; position += 4) {
    for (const value of [0, 1, 0x90, 0x7fff_ffff, 0xffff_ffff]) {
      const damaged = Buffer.from(table);
      damaged.writeUInt32LE(0x90, 0);
      damaged.writeUInt32LE(value, position);
      expect(decodeProcesses(damaged, 0n).length).toBeLessThanOrEqual(2);
    }
  }
});
