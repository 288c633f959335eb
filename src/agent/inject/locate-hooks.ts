import { GetModuleHandleW, GetProcAddress, LoadLibraryExW } from '../../ffi/kernel32.ts';
import { viewMemory } from '../../ffi/library.ts';
import { isWine, RtlLookupFunctionEntry } from '../../ffi/ntdll.ts';
import { failed } from '../../io/index.ts';
import { functionModules, numberedFunctions } from '../tables/function-table.ts';
import { numberedRows } from '../tables/hook-table.ts';
import { movePrologue, PROLOGUE_SIZE_BYTES_MAX } from '../patch/prologue.ts';
import { recogniseStub, STUB_HEAD_SIZE_BYTES } from '../patch/stub.ts';
import { optionalNtdllImports } from '../linkage/link-slots.ts';
import { identityOffsets } from '../linkage/patch-table.ts';
import type { CodeRange, HookedCall, HookedFunction, HookedModule } from '../link/link-agent.ts';

const LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800;

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
 * Finds the functions to hook in the system's DLLs. They have the same addresses in every target where the DLLs have
 * the same addresses as in this process.
 */
export function findFunctions(): { readonly modules: readonly HookedModule[]; readonly unmovable: readonly string[] } {
  const unmovable: string[] = [];
  const modules = functionModules.flatMap((name): readonly HookedModule[] => {
    const base = LoadLibraryExW(name, null, LOAD_LIBRARY_SEARCH_SYSTEM32);
    if (base === 0n) return []; // a program cannot call a DLL that this system lacks
    const peHeader = new DataView(viewMemory(base, 0x1000)).getUint32(0x3c, true); // LONG e_lfanew
    const headers = new DataView(viewMemory(base + BigInt(peHeader), 0x58));
    const identity = identityOffsets.map((offset) => headers.getUint32(offset, true));
    const sizeBytes = headers.getUint32(0x50, true);
    const end = base + BigInt(sizeBytes);
    const found: HookedFunction[] = [];
    const unseen = new Set<string>();
    for (const { row, rowNumber } of numberedFunctions.filter((numbered) => numbered.row.module === name)) {
      const address = GetProcAddress(base, row.name);
      if (address < base || address >= end) continue; // not there, or forwarded to another DLL
      const code = new Uint8Array(viewMemory(address, PROLOGUE_SIZE_BYTES_MAX)).slice();
      const moved = movePrologue(code, address, { base, end });
      if (moved !== undefined) {
        found.push({ row, rowNumber, address, code, moved });
        continue;
      }
      if (row.kind === 'runtime-object' && row.isStubOnWine && isWine) continue;
      unmovable.push(`${name}!${row.name}`);
      if (row.kind === 'runtime-object' && row.opens !== undefined) unseen.add(familyOf(row.opens.type));
    }
    // An object from a function without a hook would seem closed to the others.
    const functions = found.filter(
      ({ row }) =>
        row.kind !== 'runtime-object' ||
        [row.opens, row.closes, row.uses].every((part) => part === undefined || !unseen.has(familyOf(part.type))),
    );
    if (functions.length === 0) return [];
    return [
      {
        base,
        sizeBytes,
        number: functionModules.indexOf(name),
        fileno: GetProcAddress(base, '_fileno'),
        getOsfhandle: GetProcAddress(base, '_get_osfhandle'),
        identity,
        functions,
      },
    ];
  });
  return { modules, unmovable };
}

/** Objects of one family stand for each other: a FILE has a descriptor, which is closed with it. */
function familyOf(type: string): string {
  return type === 'FILE' ? 'Descriptor' : type;
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
