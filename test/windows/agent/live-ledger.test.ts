// Reads the ledger of a target out of the target's memory, as `explain` does, while the auditor is in this process.
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';

import { openLiveLedger } from '../../../src/agent/inject/live-ledger.ts';
import { HEADER_SIZE_BYTES, header } from '../../../src/agent/ledger/layout.ts';
import { audit, type AuditOptions } from '../../../src/audit/index.ts';
import { readLiveValue } from '../../../src/audit/value/live-value.ts';
import { PROCESS_QUERY_INFORMATION, PROCESS_VM_READ } from '../../../src/ffi/constants.ts';
import { viewMemory } from '../../../src/ffi/library.ts';
import { listProcesses, openProcess, type ProcessInfo } from '../../../src/process/processes.ts';
import { HANG_MS } from '../../hang.ts';
import { fixturePath } from '../tool.ts';
import { findLedger } from './own-process.ts';

/** Nothing else here has a ledger of this size, by which the test finds it. */
const SLOT_COUNT = 1 << 14;

const abort = new AbortController();
let audited: Promise<unknown>;
let target: ProcessInfo;
let head: DataView;
const isTarget = ({ parentId, name }: ProcessInfo): boolean => parentId === process.pid && name === 'stays-quiet.exe';
beforeAll(async () => {
  audited = audit({
    program: fixturePath('stays-quiet'),
    recording: { slotCount: SLOT_COUNT, history: 8 },
    signal: abort.signal,
  });
  const viewHead = (): DataView => {
    const ledger = findLedger(SLOT_COUNT, 8);
    if (ledger === undefined) throw new Error('There is no ledger yet.');
    return new DataView(viewMemory(ledger, HEADER_SIZE_BYTES));
  };
  await vi.waitFor(
    () => {
      expect(viewHead().getUint32(header.imageCount, true)).toBeGreaterThan(2); // it runs
    },
    { timeout: HANG_MS, interval: 20 },
  );
  head = viewHead();
  target = listProcesses().find(isTarget)!;
});
afterAll(async () => {
  abort.abort();
  await audited;
});

async function open(processId = target.processId) {
  using opened = openProcess(processId, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ);
  return await openLiveLedger(opened);
}

describe('the ledger of a process that is being audited', () => {
  test('is read from the process, and has what the auditor has', async () => {
    using process = openProcess(target.processId, PROCESS_QUERY_INFORMATION | PROCESS_VM_READ);
    const ledger = await openLiveLedger(process);
    ledger!.check();
    const values = [...ledger!.openValues()];
    expect(values.length).toBeGreaterThan(0);
    expect(ledger!.life(values.at(-1)!)).toMatchObject({ isOpen: true });
    expect(await readLiveValue(target, values.at(-1)!, 'it')).toHaveProperty('events');
  });

  test.each<[what: string, offset: number, sizeBytes: 4 | 8, value: bigint]>([
    ['no first word', header.magic, 8, 0n],
    ['more slots than there can be', header.slotCount, 8, 1n << 40n],
    ['fewer slots than there are', header.slotCount, 8, 16n],
    ['no lives', header.history, 4, 0n],
    ['a number of lives that is no power of two', header.history, 4, 7n],
    ['more lives than there can be', header.history, 4, 0x8000_0000n],
    ['a quarantine that is not there', header.quarantineCount, 4, 0xffff_ffffn],
  ])('is none where its header has %s', async (_what, offset, sizeBytes, value) => {
    const before = sizeBytes === 8 ? head.getBigUint64(offset, true) : BigInt(head.getUint32(offset, true));
    const write = (word: bigint): void =>
      sizeBytes === 8 ? head.setBigUint64(offset, word, true) : head.setUint32(offset, Number(word), true);
    write(value);
    try {
      expect(await open()).toBeUndefined();
      expect(await readLiveValue(target, 4n, 'it')).toHaveProperty('problem');
    } finally {
      write(before);
    }
    expect(await open()).toBeDefined();
  });

  test.each<[how: string, options: Partial<AuditOptions>]>([
    ['with a quarantine', { recording: { quarantine: 16 } }],
    ['where threads may be stopped', { stops: { breakOn: 'double-close', hold: async () => {} } }],
  ])('is found %s', async (_how, options) => {
    const isOver = new AbortController();
    const audited = audit({ program: fixturePath('stays-quiet'), signal: isOver.signal, ...options });
    try {
      const isOther = (each: ProcessInfo): boolean => isTarget(each) && each.processId !== target.processId;
      await vi.waitFor(
        async () => expect(await readLiveValue(listProcesses().find(isOther)!, 4n, 'it')).toHaveProperty('events'),
        { timeout: HANG_MS, interval: 50 },
      );
    } finally {
      isOver.abort();
      await audited;
    }
  });

  test('is none in a process that nobody audits', async () => {
    expect(await open(process.pid)).toBeUndefined();
  });
});
