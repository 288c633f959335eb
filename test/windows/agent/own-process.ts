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
export function findLedger(slotCount: number, history?: number): bigint | undefined {
  const { sizeBytes } = ledgerLayout(slotCount, 0, history);
  const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
  let [begin, end] = [0n, 0n];
  for (let address = 0n; VirtualQueryEx(CURRENT_PROCESS, address, region, 48n) !== 0n; ) {
    // PVOID BaseAddress, PVOID AllocationBase, SIZE_T RegionSize
    const [base, allocation, size] = [0, 8, 24].map((offset) => region.readBigUInt64LE(offset)) as [
      bigint,
      bigint,
      bigint,
    ];
    address = base + size;
    if (region.readUInt32LE(40) !== MEM_MAPPED) continue; // DWORD Type
    // A view whose memory is committed piece by piece has several regions.
    if (allocation !== begin || base !== end) begin = base;
    end = address;
    const beyond = end - begin - BigInt(sizeBytes);
    if (begin === allocation && beyond >= 0n && beyond < 0x1000n) return begin;
  }
  return undefined;
}

/** Programs of ours that run; on Wine 8 one that has been ended is listed a little longer. */
export function listRunning(): readonly string[] {
  return listProcesses()
    .filter(({ parentId }) => parentId === process.pid)
    .map(({ name }) => name);
}
