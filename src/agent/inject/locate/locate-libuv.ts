import type { AsHandle } from '../../../io/index.ts';
import { tryReadMemory } from '../../../process/memory.ts';
import type { HookedFunction, HookedModule } from '../../link/link-agent.ts';
import { identityOffsets } from '../../linkage/patch-table.ts';
import { holdsAddress, movePrologue, PROLOGUE_SIZE_BYTES_MAX } from '../../patch/prologue.ts';
import { functionModules, numberedFunctions } from '../../tables/function-table.ts';
import { REQUEST_MODULE } from '../../tables/request-functions.ts';
import { PristineModule } from './pristine-module.ts';

/** The headers of the image, and its directory of exports: node.exe has 3 MB of mangled names. */
const HEADERS_SIZE_BYTES = 0x1000;
const DIRECTORY_SIZE_BYTES = 40;
const EXPORTS_SIZE_BYTES_MAX = 64 << 20;
const NAME_SIZE_BYTES_MAX = 64;

/** The functions of libuv in a program. */
export interface Libuv extends HookedModule {
  /** How many have code that is not known: then all of them are left alone. */
  readonly unknown: number;
}

/**
 * Finds the functions of libuv to hook in a program that has libuv in it, and exports it; `undefined` in any other. The
 * program need not have begun to run. A function that cannot be moved is left alone: what its work opens has the stack
 * of the pool's thread only.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format#the-edata-section-image-only
 *
 * @param base address of the program's image in the target
 * @param path of the program's file, whose code is taken where the program has been running: its memory may have the
 *   jump of an earlier audit or of other software; absent where it has not begun to run
 */
export function findLibuv(target: AsHandle, base: bigint, path?: string): Libuv | undefined {
  const read = (rva: number, sizeBytes: number): Buffer | undefined =>
    tryReadMemory(target, base + BigInt(rva), sizeBytes);
  const headers = read(0, HEADERS_SIZE_BYTES);
  const pe = headers?.readUInt32LE(0x3c) ?? HEADERS_SIZE_BYTES; // LONG e_lfanew
  if (headers === undefined || pe > HEADERS_SIZE_BYTES - 0x90) return undefined;
  const identity = identityOffsets.map((offset) => headers.readUInt32LE(pe + offset));
  const imageSizeBytes = headers.readUInt32LE(pe + 0x50); // DWORD SizeOfImage
  const exportsRva = headers.readUInt32LE(pe + 0x88); // DataDirectory[IMAGE_DIRECTORY_ENTRY_EXPORT]
  const exportsSizeBytes = headers.readUInt32LE(pe + 0x8c);
  if (exportsSizeBytes < DIRECTORY_SIZE_BYTES || exportsSizeBytes > EXPORTS_SIZE_BYTES_MAX) return undefined;
  const directory = read(exportsRva, DIRECTORY_SIZE_BYTES);
  if (directory === undefined) return undefined;
  const nameCount = directory.readUInt32LE(24); // DWORD NumberOfNames
  if (nameCount > exportsSizeBytes / 4) return undefined;
  const functionsRva = directory.readUInt32LE(28); // DWORD AddressOfFunctions
  const names = read(directory.readUInt32LE(32), nameCount * 4); // DWORD AddressOfNames
  const ordinals = read(directory.readUInt32LE(36), nameCount * 2); // DWORD AddressOfNameOrdinals
  if (names === undefined || ordinals === undefined) return undefined;

  /** Linkers sort the names by their bytes. */
  const addressOf = (name: string): bigint | undefined => {
    const wanted = Buffer.from(`${name}\0`);
    for (let [from, to] = [0, nameCount]; from < to; ) {
      const middle = (from + to) >> 1;
      const text = read(names.readUInt32LE(middle * 4), NAME_SIZE_BYTES_MAX);
      if (text === undefined) return undefined;
      const order = Buffer.compare(text.subarray(0, wanted.length), wanted);
      if (order < 0) from = middle + 1;
      else if (order > 0) to = middle;
      else {
        const rva = read(functionsRva + ordinals.readUInt16LE(middle * 2) * 4, 4)?.readUInt32LE(0) ?? 0;
        return rva > 0 && rva < imageSizeBytes - PROLOGUE_SIZE_BYTES_MAX ? base + BigInt(rva) : undefined;
      }
    }
    return undefined;
  };
  const exported = numberedFunctions
    .filter(({ row }) => row.module === REQUEST_MODULE)
    .flatMap((numbered) => {
      const address = addressOf(numbered.row.name);
      return address === undefined ? [] : [{ ...numbered, address }];
    });
  if (exported.length === 0) return undefined;
  const pristine = path === undefined ? undefined : new PristineModule(base, identity, path);
  const known = exported.flatMap((each) => {
    const code =
      pristine === undefined
        ? tryReadMemory(target, each.address, PROLOGUE_SIZE_BYTES_MAX)
        : pristine.read(each.address, PROLOGUE_SIZE_BYTES_MAX);
    return code === undefined ? [] : [{ ...each, code }];
  });
  const functions = known.flatMap((each): readonly HookedFunction[] => {
    const moved = movePrologue(each.code, each.address, { base, end: base + BigInt(imageSizeBytes) });
    return moved === undefined || holdsAddress(each.code, moved) ? [] : [{ ...each, moved }];
  });
  const unknown = exported.length - known.length;
  return {
    base,
    sizeBytes: imageSizeBytes,
    number: functionModules.indexOf(REQUEST_MODULE),
    fileno: 0n,
    getOsfhandle: 0n,
    identity: [], // that of no DLL: the program is mapped already, and hooked from outside
    functions: unknown > 0 ? [] : functions,
    unknown,
  };
}
