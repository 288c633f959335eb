import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

import { afterAll, describe, expect, it } from 'vitest';

import { OpenProcess } from '../../../src/ffi/kernel32.ts';
import { BorrowedHandle, CURRENT_PROCESS, HandleOrNull } from '../../../src/io/index.ts';
import { readMemory, tryReadMemory } from '../../../src/process/memory.ts';
import { isSystemPath, listModules } from '../../../src/process/modules.ts';
import { Target } from '../target.ts';

const PROCESS_QUERY_LIMITED_INFORMATION = 0x1000;
const PROCESS_VM_READ = 0x10;

const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' });
afterAll(() => child.kill());

describe('the modules of a process', () => {
  it('are the files that Node itself says it has loaded', () => {
    const modules = listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS));
    const report = process.report.getReport() as unknown as { sharedObjects: string[] };
    const paths = new Set(modules.map((module) => module.path.toLowerCase()));
    for (const path of report.sharedObjects) expect(paths).toContain(path.toLowerCase());
    expect(paths.size).toBeGreaterThanOrEqual(report.sharedObjects.length);
  });

  it('begin with the program, which is not part of the system, while its ntdll is', async () => {
    using target = HandleOrNull.fromRawHandle(
      OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, false, child.pid!),
    ).expect('open process', String(child.pid));
    let modules = listModules(target);
    while (modules.length < 3) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      modules = listModules(target);
    }
    expect(modules[0]).toMatchObject({ name: 'node.exe', isSystem: false });
    expect(modules[0]!.path.toLowerCase()).toBe(process.execPath.toLowerCase());
    const ntdll = modules.find((module) => module.name.toLowerCase() === 'ntdll.dll');
    expect(ntdll).toMatchObject({ isSystem: true });
    expect(readMemory(target, ntdll!.base, 2).toString('latin1')).toBe('MZ');
  });

  it('are there whole or not at all while DLLs come and go', async () => {
    using target = await Target.start('loads-without-end');
    using opened = HandleOrNull.fromRawHandle(
      OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, false, target.processId),
    ).expect('open process', String(target.processId));
    const paths = new Set<string>();
    for (let list = 1; list <= 150; list += 1) for (const { path } of listModules(opened)) paths.add(path);
    expect([...paths].filter((path) => !existsSync(path))).toEqual([]);
    expect([...paths].filter((path) => /frames-library|winmm|mswsock/.test(path))).not.toEqual([]);
    expect((await target.stop()).exitCode).toBe(0);
  });

  it('take little memory, whatever the names in the loader’s list', async () => {
    using target = await Target.start('forges-modules');
    using opened = HandleOrNull.fromRawHandle(
      OpenProcess(PROCESS_QUERY_LIMITED_INFORMATION | PROCESS_VM_READ, false, target.processId),
    ).expect('open process', String(target.processId));
    const modules = listModules(opened);
    expect(modules.map(({ name }) => name.toLowerCase())).toContain('kernel32.dll');
    expect(modules.some(({ name }) => name.startsWith('aaaa'))).toBe(true);
    const sizeBytes = modules.reduce((sum, { name, path }) => sum + 2 * (name.length + path.length), 0);
    expect(sizeBytes).toBeLessThan(16 << 20);
  });

  it('never overlap', () => {
    const modules = [...listModules(BorrowedHandle.borrowRaw(CURRENT_PROCESS))].sort((a, b) =>
      a.base < b.base ? -1 : 1,
    );
    modules.slice(1).forEach((module, index) => {
      const previous = modules[index]!;
      expect(module.base).toBeGreaterThanOrEqual(previous.base + BigInt(previous.sizeBytes));
    });
  });
});

describe('memory that is not there', () => {
  it.each([0n, 0x10n, 0xffff_8000_0000_0000n, 0xffff_ffff_ffff_fff8n, 0x1_0000_0000_0000_0000n])(
    'is reported and not read: %s',
    (address) => {
      const self = BorrowedHandle.borrowRaw(CURRENT_PROCESS);
      expect(tryReadMemory(self, address, 16)).toBeUndefined();
      expect(() => readMemory(self, address, 16)).toThrow(/^Cannot read 16 bytes of the target's memory at 0x/);
    },
  );
});

it.each([
  ['C:\\Windows\\System32\\ntdll.dll', true],
  ['C:\\windows\\WinSxS\\amd64_x\\comctl32.dll', true],
  ['\\\\?\\C:\\windows\\system32\\kernel32.dll', true],
  ['C:\\windows\\..\\app\\a.dll', false],
  ['C:\\windowsapp\\a.dll', false],
  ['\\??\\Z:\\usr\\lib\\x86_64-linux-gnu\\wine\\x86_64-windows\\ws2_32.dll', true],
  ['Z:\\home\\me\\wine\\app\\a.dll', false],
])('%s belongs to the system: %s', (path, expected) => {
  expect(isSystemPath(path)).toBe(expected);
});
