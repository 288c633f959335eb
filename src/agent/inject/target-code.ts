import { FlushInstructionCache, VirtualAllocEx, VirtualProtectEx, WriteProcessMemory } from '../../ffi/kernel32.ts';
import { type AsHandle, failed } from '../../io/index.ts';
import { type MemoryRegion, queryMemory } from '../../process/memory.ts';
import type { CodePatch } from '../patch/code-patch.ts';
import { alignDown, listFreePlaces, listTakenPlaces } from './free-places.ts';

const PAGE_READWRITE = 0x04;
const PAGE_EXECUTE_READ = 0x20;
const PAGE_EXECUTE_READWRITE = 0x40;
const MEM_COMMIT_RESERVE = 0x3000;
/** How far from `near` the memory may lie, so that a 32-bit jump from any stub reaches it: the jump reaches 2 GiB. */
const REACH = 0x7000_0000n;
const DISTANCE = 0x4000_0000n;
const TAKEN_PLACES_MAX = 50;

/**
 * Reserves memory in reach of a 32-bit jump from `near`.
 *
 * A gibibyte below is tried first. The system's DLLs are going to be mapped right beside `near`, at addresses that
 * Windows chose at boot. A DLL that finds its address taken is moved, and kernel32 does not survive that.
 *
 * @throws Win32Error when there is no room in reach
 */
export function allocateNear(target: AsHandle, near: bigint, sizeBytes: number): bigint {
  const process = target.asHandle().asRawHandle();
  for (const place of listPlaces(target, near, BigInt(sizeBytes))) {
    const base = VirtualAllocEx(process, place, BigInt(sizeBytes), MEM_COMMIT_RESERVE, PAGE_READWRITE);
    if (base !== 0n) return base;
  }
  throw failed(
    'find room for the agent near ntdll in',
    'the target',
    'again: the layout of its memory differs each time',
  );
}

/** Whether a 32-bit jump leads from one address to the other, and from any near them. */
export function isInReach(one: bigint, other: bigint): boolean {
  return one - other < REACH && other - one < REACH;
}

/**
 * Where memory may lie that {@link allocateNear} gave before: at the address that it tries first, or, where that was
 * taken, on the way down to the next one. No more than a few are listed: each query takes time.
 */
export function* listPlacesTaken(target: AsHandle, near: bigint, sizeBytes: number): Generator<bigint> {
  yield preferredPlace(near);
  const query = (address: bigint): MemoryRegion | undefined => queryMemory(target, address);
  if (query(preferredPlace(near))?.isFree !== false) return;
  let left = TAKEN_PLACES_MAX;
  for (const place of listTakenPlaces(query, near - DISTANCE, near - REACH, BigInt(sizeBytes))) {
    yield place;
    if (--left === 0) return;
  }
}

function preferredPlace(near: bigint): bigint {
  return alignDown(near - DISTANCE);
}

function* listPlaces(target: AsHandle, near: bigint, sizeBytes: bigint): Generator<bigint> {
  // The best address is tried before any search, because every query about the target takes time.
  if (preferredPlace(near) > 0n) yield preferredPlace(near);
  const query = (address: bigint): MemoryRegion | undefined => queryMemory(target, address);
  for (const [from, to] of [
    [near - DISTANCE, near - REACH],
    [near + DISTANCE, near + REACH],
    [near, near - REACH],
  ] as const)
    yield* listFreePlaces(query, from, to, sizeBytes);
}

/**
 * Writes code into memory of {@link allocateNear}, and makes it executable and not writable.
 *
 * @param dataSizeBytes so many bytes from its beginning are data, and stay writable: a multiple of the page size
 * @throws Win32Error when Windows refuses
 */
export function writeCode(target: AsHandle, { address, bytes }: CodePatch, dataSizeBytes = 0): void {
  const process = target.asHandle().asRawHandle();
  writeData(target, { address, bytes });
  const begin = address + BigInt(dataSizeBytes);
  const size = BigInt(bytes.length - dataSizeBytes);
  const where = `0x${begin.toString(16)} in the target`;
  if (!VirtualProtectEx(process, begin, size, PAGE_EXECUTE_READ, new Uint32Array(1)))
    throw failed('protect code at', where);
  if (!FlushInstructionCache(process, address, size)) throw failed('flush the instruction cache of', 'the target');
}

/**
 * Writes into writable memory of a target.
 *
 * @throws Win32Error when Windows refuses
 */
export function writeData(target: AsHandle, { address, bytes }: CodePatch): void {
  if (!WriteProcessMemory(target.asHandle().asRawHandle(), address, bytes, BigInt(bytes.length), null))
    throw failed('write to', `0x${address.toString(16)} in the target`);
}

const PAGE_SIZE_BYTES = 0x1000;

/** The pages of new code that differ from the code that is there. */
export function changedPages(old: Buffer, { address, bytes }: CodePatch): readonly CodePatch[] {
  const pages: CodePatch[] = [];
  for (let at = 0; at < bytes.length; at += PAGE_SIZE_BYTES) {
    const page = bytes.subarray(at, at + PAGE_SIZE_BYTES);
    if (!old.subarray(at, at + PAGE_SIZE_BYTES).equals(page))
      pages.push({ address: address + BigInt(at), bytes: page });
  }
  return pages;
}

/**
 * Writes code over other code, with one write.
 *
 * @throws Win32Error when Windows refuses
 */
export function overwriteCode(target: AsHandle, patch: CodePatch): void {
  const { address, bytes } = patch;
  const where = `0x${address.toString(16)} in the target`;
  const size = BigInt(bytes.length);
  if (!VirtualProtectEx(target.asHandle().asRawHandle(), address, size, PAGE_EXECUTE_READWRITE, new Uint32Array(1)))
    throw failed('unprotect code at', where);
  writeCode(target, patch);
}
