import { GetModuleHandleW, GetProcAddress } from '../../../ffi/kernel32.ts';
import { viewMemory } from '../../../ffi/library.ts';
import { RtlLookupFunctionEntry } from '../../../ffi/ntdll.ts';
import { failed } from '../../../io/index.ts';
import { numberedRows } from '../../tables/hook-table.ts';
import { recogniseStub, STUB_HEAD_SIZE_BYTES } from '../../patch/stub.ts';
import { optionalNtdllImports } from '../../linkage/link-slots.ts';
import type { CodeRange, HookedCall } from '../../link/link-agent.ts';

/** ntdll lies at the same address in every process of a session: Windows chooses it at boot, Wine fixes it. */
export function ntdllBase(): bigint {
  return GetModuleHandleW('ntdll.dll');
}

/**
 * The address of a function of ntdll that the agent calls.
 *
 * @returns 0 where this ntdll has none of an {@link optionalNtdllImports | optional one}
 * @throws Win32Error when it has none of another
 */
export function ntdllAddress(name: string): bigint {
  const address = GetProcAddress(ntdllBase(), name);
  if (address === 0n && !optionalNtdllImports.has(name)) throw failed('find', `ntdll!${name}`);
  return address;
}

/** Stubs that lie side by side, and are read and written in one piece. */
export interface StubRange {
  readonly begin: bigint;
  readonly sizeBytes: number;
  readonly stubs: readonly Pick<HookedCall, 'row' | 'rowNumber' | 'stubAddress'>[];
}

/** Stubs with a larger gap between them belong to different ranges. */
const GAP_SIZE_BYTES_MAX = 0x1000n;

/** Locates the stubs that this ntdll exports. Every known ntdll has them in one range. */
export function locateStubs(): readonly StubRange[] {
  const stubs = numberedRows
    .map(({ row, rowNumber }) => ({ row, rowNumber, stubAddress: GetProcAddress(ntdllBase(), row.name) }))
    .filter(({ stubAddress }) => stubAddress !== 0n)
    .sort((a, b) => (a.stubAddress < b.stubAddress ? -1 : 1));
  const ranges: { begin: bigint; sizeBytes: number; stubs: (typeof stubs)[number][] }[] = [];
  for (const stub of stubs) {
    let range = ranges.at(-1);
    if (range === undefined || stub.stubAddress - range.begin - BigInt(range.sizeBytes) > GAP_SIZE_BYTES_MAX) {
      range = { begin: stub.stubAddress, sizeBytes: 0, stubs: [] };
      ranges.push(range);
    }
    range.sizeBytes = Number(stub.stubAddress - range.begin) + STUB_HEAD_SIZE_BYTES;
    range.stubs.push(stub);
  }
  return ranges;
}

/** A copy of the code of a range of stubs in this process. */
export function readOwnStubs({ begin, sizeBytes }: StubRange): Buffer {
  return Buffer.from(new Uint8Array(viewMemory(begin, sizeBytes)));
}

/**
 * Finds out which stubs can be hooked, by their code in one process.
 *
 * @param codes the code of each range
 */
export function recogniseStubs(
  ranges: readonly StubRange[],
  codes: readonly Uint8Array[],
): { readonly calls: readonly HookedCall[]; readonly unrecognised: readonly string[] } {
  const calls: HookedCall[] = [];
  const unrecognised: string[] = [];
  ranges.forEach(({ begin, stubs }, index) => {
    for (const { row, rowNumber, stubAddress } of stubs) {
      const start = Number(stubAddress - begin);
      const head = recogniseStub(codes[index]!.subarray(start));
      if (head === undefined) unrecognised.push(row.name);
      else calls.push({ row, rowNumber, stubAddress, head });
    }
  });
  return { calls, unrecognised };
}

/**
 * Locates the code of CloseHandle in this process. It has the same address in the target, because Windows places its
 * own DLLs once for a whole session.
 */
export function findCloseHandle(): CodeRange | undefined {
  const address = GetProcAddress(GetModuleHandleW('kernelbase.dll'), 'CloseHandle');
  const imageBase = new BigUint64Array(1);
  const entry = address === 0n ? 0n : RtlLookupFunctionEntry(address, imageBase, null);
  if (entry === 0n) return undefined;
  const [begin = 0, end = 0] = new Uint32Array(viewMemory(entry, 8)); // DWORD BeginAddress, EndAddress
  return { begin: imageBase[0]! + BigInt(begin), sizeBytes: end - begin };
}
