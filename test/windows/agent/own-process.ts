// The auditing process's view of itself.
import { ledgerLayout } from '../../../src/agent/ledger/layout.ts';
import { VirtualQueryEx } from '../../../src/ffi/kernel32.ts';
import { CURRENT_PROCESS } from '../../../src/io/index.ts';
import { listProcesses } from '../../../src/process/processes.ts';

const MEM_MAPPED = 0x4_0000;

/**
 * The address of the ledger in this process, when it has one: a mapped view of that size.
 *
 * @param slotCount that no other audit has at the time
 */
export function findLedger(slotCount: number): bigint | undefined {
  const { sizeBytes } = ledgerLayout(slotCount);
  const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
  for (let address = 0n; VirtualQueryEx(CURRENT_PROCESS, address, region, 48n) !== 0n; ) {
    // PVOID BaseAddress, SIZE_T RegionSize
    const [base, size] = [region.readBigUInt64LE(0), region.readBigUInt64LE(24)];
    if (region.readUInt32LE(40) === MEM_MAPPED && size - BigInt(sizeBytes) >= 0n && size - BigInt(sizeBytes) < 0x1000n)
      return base;
    address = base + size;
  }
  return undefined;
}

/** Programs of ours that run; on Wine 8 one that has been ended is listed a little longer. */
export function listRunning(): readonly string[] {
  return listProcesses()
    .filter(({ parentId }) => parentId === process.pid)
    .map(({ name }) => name);
}
