// Targets that differ from the auditor.
import { expect, test } from 'vitest';

import { numberedRows } from '../../../src/agent/tables/hook-table.ts';
import { ntdllBase } from '../../../src/agent/inject/locate/locate-hooks.ts';
import type { Recording } from '../../../src/agent/inject/recording.ts';
import { RecordingError } from '../../../src/agent/inject/recording-error.ts';
import { audit } from '../../../src/audit/index.ts';
import { GetProcAddress, VirtualAllocEx, VirtualProtectEx, WriteProcessMemory } from '../../../src/ffi/kernel32.ts';
import type { AsHandle } from '../../../src/io/index.ts';
import { fixturePath } from '../tool.ts';
import { findLedger, listRunning } from './own-process.ts';
import { runProgram } from './recorded-program.ts';

const MEM_RESERVE = 0x2000;
const PAGE_NOACCESS = 1;
const PAGE_EXECUTE_READWRITE = 0x40;
/** Nothing else here has a ledger of this size, by which the test finds it. */
const SLOT_COUNT = 1 << 11;

function occupyLedger(target: AsHandle): void {
  const ledger = findLedger(SLOT_COUNT)!;
  expect(VirtualAllocEx(target.asHandle().asRawHandle(), ledger, 0x1_0000n, MEM_RESERVE, PAGE_NOACCESS)).toBe(ledger);
}

/**
 * Lets a function of the target begin as with the hook of other software: with `ud2`, as the function is never called.
 */
function spoil(name: string): (target: AsHandle) => void {
  return (target) => {
    const address = GetProcAddress(ntdllBase(), name);
    const process = target.asHandle().asRawHandle();
    expect(VirtualProtectEx(process, address, 2n, PAGE_EXECUTE_READWRITE, new Uint32Array(1))).toBe(true);
    expect(WriteProcessMemory(process, address, Uint8Array.of(0x0f, 0x0b), 2n, null)).toBe(true);
  };
}

test.each<{ what: string; unrecognised: readonly string[]; beforeInstall: (target: AsHandle) => void }>([
  { what: 'something lies in the ledger’s place', unrecognised: [], beforeInstall: occupyLedger },
  {
    what: 'a call was hooked by other software',
    unrecognised: ['NtCreateKeyedEvent'],
    beforeInstall: spoil('NtCreateKeyedEvent'),
  },
])('where $what, all else is recorded', async ({ unrecognised, beforeInstall }) => {
  let recorded: Recording | undefined;
  let opens = 0;
  const { exitCode } = await runProgram(
    fixturePath('many-threads-clean'),
    [],
    { slotCount: SLOT_COUNT, checked: true },
    (recording) => {
      recorded = recording;
      recording.ledger.check();
      expect(recording.ledger.counter('walkMismatches')).toBe(0);
      opens = recording.ledger.totals().opens;
    },
    beforeInstall,
  );
  expect(exitCode).toBe(0);
  expect(opens).toBeGreaterThan(100);
  expect(recorded?.unrecognised).toEqual(unrecognised);
});

test('where no call has a known form, nothing is recorded and the target does not run', async () => {
  const exported = numberedRows.map(({ row }) => row.name).filter((name) => GetProcAddress(ntdllBase(), name) !== 0n);
  const spoilAll = (target: AsHandle): void => exported.forEach((name) => spoil(name)(target));
  const run = runProgram(fixturePath('sleeps'), [], {}, () => {}, spoilAll);
  await expect(run).rejects.toThrow(RecordingError);
  await expect.poll(listRunning).toEqual([]);
});

test('where the ledger cannot be made, the target that was being started is not left behind', async () => {
  const audited = audit({ program: fixturePath('sleeps'), recording: { slotCount: 2 ** 40 } });
  await expect(audited).rejects.toThrow(/^Cannot create a ledger of \d+ MiB: /);
  await expect.poll(listRunning).toEqual([]);
});

test('an audit that is aborted while its target is being started is over before the first instruction', async () => {
  const abort = new AbortController();
  const audited = audit({ program: fixturePath('leaks-event'), signal: abort.signal });
  abort.abort();
  const { stats, completeness } = await audited;
  expect(stats.opens).toBe(0);
  expect(completeness.complete).toBe(false);
});
