import { GetProcAddress, LoadLibraryExW } from '../../../ffi/kernel32.ts';
import { viewMemory } from '../../../ffi/library.ts';
import { isWine } from '../../../ffi/ntdll.ts';
import { BorrowedHandle, CURRENT_PROCESS } from '../../../io/index.ts';
import { tryReadMemory } from '../../../process/memory.ts';
import { familyBits } from '../../tables/families.ts';
import {
  type FunctionRow,
  functionModules,
  type NumberedFunction,
  numberedFunctions,
  systemModules,
} from '../../tables/function-table.ts';
import { ownerOfHead } from '../../patch/foreign-head.ts';
import { holdsAddress, type MovedPrologue, movePrologue, PROLOGUE_SIZE_BYTES_MAX } from '../../patch/prologue.ts';
import { THIN_WRAPPER_SIZE_BYTES, wrappedFunction } from '../../patch/thin-wrapper.ts';
import { identityOffsets } from '../../linkage/patch-table.ts';
import type { HookedFunction, HookedModule } from '../../link/link-agent.ts';
import { ntdllBase } from './locate-hooks.ts';
import { PristineModule } from './pristine-module.ts';

const LOAD_LIBRARY_SEARCH_SYSTEM32 = 0x800;

/** A DLL as this process has it. */
interface MappedModule {
  readonly name: (typeof systemModules)[number];
  readonly base: bigint;
  readonly end: bigint;
  readonly identity: readonly number[];
}

/** A function of a DLL; `hook` is absent where its code cannot be moved. */
interface LocatedFunction {
  readonly numbered: NumberedFunction;
  readonly hook: HookedFunction | undefined;
}

/**
 * Finds the functions to hook in the system's DLLs. They have the same addresses in every target where the DLLs have
 * the same addresses as in this process.
 */
export function findFunctions(): { readonly modules: readonly HookedModule[]; readonly unmovable: readonly string[] } {
  const unmovable: string[] = [];
  const modules = systemModules.flatMap(mapModule).flatMap((module): readonly HookedModule[] => {
    const functions = locateFunctions(module);
    let lost = 0;
    for (const { numbered, hook } of functions) {
      const { row } = numbered;
      if (hook !== undefined || isNoGap(row)) continue;
      unmovable.push(`${module.name}!${row.name}`);
      lost |= familyBits(row).needed;
    }
    const hooked = functions.flatMap(({ numbered, hook }) =>
      hook !== undefined && (familyBits(numbered.row).touched & lost) === 0 ? [hook] : [],
    );
    if (hooked.length === 0) return [];
    return [
      {
        base: module.base,
        sizeBytes: Number(module.end - module.base),
        number: functionModules.indexOf(module.name),
        fileno: GetProcAddress(module.base, '_fileno'),
        getOsfhandle: GetProcAddress(module.base, '_get_osfhandle'),
        identity: module.identity,
        functions: hooked,
      },
    ];
  });
  return { modules, unmovable };
}

/** Nothing is lost where the function is not hooked, or the report says so when it is. */
function isNoGap(row: FunctionRow): boolean {
  return row.kind === 'fast-fail' || (row.kind === 'runtime-object' && row.isStubOnWine && isWine);
}

/** Maps a DLL of the system into this process; a program cannot call one that the system lacks. */
function mapModule(name: (typeof systemModules)[number]): readonly MappedModule[] {
  const base = LoadLibraryExW(name, null, LOAD_LIBRARY_SEARCH_SYSTEM32);
  if (base === 0n) return [];
  const peHeader = new DataView(viewMemory(base, 0x1000)).getUint32(0x3c, true); // LONG e_lfanew
  const headers = new DataView(viewMemory(base + BigInt(peHeader), 0x58));
  const identity = identityOffsets.map((offset) => headers.getUint32(offset, true));
  return [{ name, base, end: base + BigInt(headers.getUint32(0x50, true)), identity }]; // DWORD SizeOfImage
}

function locateFunctions(module: MappedModule): readonly LocatedFunction[] {
  const { name, base, end, identity } = module;
  const pristine = new PristineModule(base, identity);
  return numberedFunctions
    .filter(({ row }) => row.module === name)
    .flatMap((numbered) => {
      const address = GetProcAddress(base, numbered.row.name);
      if (address < base || address >= end) return []; // not there, or forwarded to another DLL
      const moved = moveFunction(module, address, pristine, numbered.row);
      return [{ numbered, hook: moved && { ...numbered, address, ...moved } }];
    });
}

/**
 * The beginning of a function as a target has it when it maps the DLL. In this process other software may have written
 * a jump over it. A function that Windows has patched is left alone, for Windows refuses to patch one that is changed.
 */
function moveFunction(
  module: MappedModule,
  address: bigint,
  pristine: PristineModule,
  row: FunctionRow,
): { readonly code: Uint8Array; readonly moved: MovedPrologue } | undefined {
  const code = new Uint8Array(viewMemory(address, PROLOGUE_SIZE_BYTES_MAX)).slice();
  const owner = ownerOfHead(code, address, module, readOwnCode);
  if (owner === 'hotpatch') return undefined;
  if (owner === 'own') {
    const moved = leadToWrapped(address, row) ?? movePrologue(code, address, module);
    return moved && { code, moved };
  }
  const original = pristine.read(address, PROLOGUE_SIZE_BYTES_MAX);
  if (original === undefined || ownerOfHead(original, address, module, readOwnCode) !== 'own') return undefined;
  const moved = movePrologue(original, address, module);
  return moved === undefined || holdsAddress(original, moved) ? undefined : { code: original, moved };
}

/** A trampoline that moves nothing: it leads to the function of ntdll that the row's function only wraps. */
function leadToWrapped(address: bigint, row: FunctionRow): MovedPrologue | undefined {
  if (row.kind !== 'fast-fail' || row.wraps === undefined) return undefined;
  const wrapped = GetProcAddress(ntdllBase(), row.wraps);
  const code = new Uint8Array(viewMemory(address, THIN_WRAPPER_SIZE_BYTES));
  const isWrapper = wrapped !== 0n && wrappedFunction(code, address, readOwnPointer) === wrapped;
  return isWrapper ? { sizeBytes: 0, continuesAt: wrapped, distances: [] } : undefined;
}

function readOwnPointer(address: bigint): bigint | undefined {
  return tryReadMemory(thisProcess, address, 8)?.readBigUInt64LE();
}

const thisProcess = BorrowedHandle.borrowRaw(CURRENT_PROCESS);

function readOwnCode(address: bigint, sizeBytes: number): Uint8Array | undefined {
  return tryReadMemory(thisProcess, address, sizeBytes);
}
