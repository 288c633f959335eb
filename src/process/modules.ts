import { win32 } from 'node:path';

import { GetModuleHandleW, GetSystemWindowsDirectoryW } from '../ffi/kernel32.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed } from '../io/system-error.ts';
import { EnvironmentBlock } from './environment/environment-block.ts';
import { PageReader } from './environment/page-reader.ts';

/** One executable file mapped into a process: its program or a DLL. */
export interface Module {
  /** Address of its first byte. */
  readonly base: bigint;
  readonly sizeBytes: number;
  /**
   * File name without its directory, in the loader's spelling: `app.exe`. It comes from the target: escape it where it
   * is shown.
   */
  readonly name: string;
  /** Whole path, in the loader's spelling. It comes from the target: escape it where it is shown. */
  readonly path: string;
  /** It belongs to Windows (or Wine), not to the program. The program itself never does, not even `cmd.exe`. */
  readonly isSystem: boolean;
}

/** A process has tens to hundreds of modules. A longer list is a loop in damaged memory. */
const MODULES_MAX = 16_384;
const MODULE_SIZE_MAX = 0x1_0000_0000;

/** A list that never stands still is not read more often. */
const READINGS_MAX = 8;

/** LDR_DATA_TABLE_ENTRY, up to BaseDllName. The links before `own` change with an entry's neighbours. */
const ENTRY = { sizeBytes: 0x68, own: 0x30 } as const;

/** An entry of the loader's list, and its address in the target. */
interface LoaderEntry {
  readonly address: bigint;
  readonly record: Buffer;
}

/**
 * The modules of a process in the order in which they were loaded, the program first.
 *
 * Reads the loader's list in the target's memory, so it works up to the process' very last system call, and returns an
 * empty list for a process that has not yet run its loader. The memory is the target's: damage in it shortens the list.
 * A module that is loaded or unloaded meanwhile is there whole, or not at all. Only for 64-bit processes: a 32-bit one
 * shows its few 64-bit modules.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION and PROCESS_VM_READ
 * @param isStanding no thread of it runs meanwhile, so that the list need not be read again
 * @throws NtStatusError when the kernel does not return the address of the environment block
 */
export function listModules(process: AsHandle, isStanding = false): readonly Module[] {
  const reader = PageReader.of(process);
  const loader = EnvironmentBlock.of(process, reader).loaderData;
  if (loader === undefined || loader === 0n) return [];
  const head = loader + 0x10n; // LIST_ENTRY PEB_LDR_DATA.InLoadOrderModuleList
  if (isStanding) return readModules(reader, walkLoaderList(reader, head)).filter((module) => module !== undefined);

  let longest: readonly Module[] = [];
  for (let reading = 1; reading <= READINGS_MAX; reading += 1) {
    const entries = walkLoaderList(PageReader.of(process), head);
    // The loader writes the strings of an entry before it puts the entry into the list: they are read after the list.
    const modules = readModules(PageReader.of(process), entries);
    // The loader frees an entry and its strings after it has taken it out of the list: one that is still there was
    // whole when it was read.
    const after = walkLoaderList(PageReader.of(process), head);
    const recordsAfter = new Map(after.map(({ address, record }) => [address, record]));
    const areLasting = entries.map(({ address, record }) => isSameModule(record, recordsAfter.get(address)));
    const lasting = modules.filter((module, index) => module !== undefined && areLasting[index]);
    if (lasting.length > longest.length) longest = lasting as readonly Module[];
    if (after.length === entries.length && areLasting.every(Boolean)) break;
  }
  return longest;
}

function walkLoaderList(reader: PageReader, head: bigint): readonly LoaderEntry[] {
  const entries: LoaderEntry[] = [];
  const visited = new Set<bigint>([head]);
  let address = reader.readPointer(head);
  while (address !== undefined && address !== 0n && !visited.has(address) && visited.size <= MODULES_MAX) {
    visited.add(address);
    const record = reader.read(address, ENTRY.sizeBytes);
    if (record === undefined) break;
    entries.push({ address, record });
    address = record.readBigUInt64LE(0); // LIST_ENTRY InLoadOrderLinks.Flink
  }
  return entries;
}

function isSameModule(record: Buffer, later: Buffer | undefined): boolean {
  return later?.subarray(ENTRY.own).equals(record.subarray(ENTRY.own)) === true;
}

function readModules(reader: PageReader, entries: readonly LoaderEntry[]): readonly (Module | undefined)[] {
  return entries.map(({ record }, index) => readModule(reader, record, index === 0));
}

function readModule(reader: PageReader, record: Buffer, isProgram: boolean): Module | undefined {
  const base = record.readBigUInt64LE(0x30); // PVOID DllBase
  const sizeBytes = record.readUInt32LE(0x40); // ULONG SizeOfImage
  const path = reader.readText(record, 0x48); // UNICODE_STRING FullDllName
  if (base === 0n || sizeBytes === 0 || sizeBytes >= MODULE_SIZE_MAX || !path || path.includes('\0')) return undefined;
  const name = win32.basename(reader.readText(record, 0x58) || path); // UNICODE_STRING BaseDllName
  return { base, sizeBytes, name, path, isSystem: !isProgram && isSystemPath(path) };
}

/**
 * The modules of a process that has not run its loader yet: its program and ntdll.
 *
 * @param program whole path of the program
 */
export function listFirstModules(block: EnvironmentBlock, program: string): readonly Module[] {
  windowsDirectory ??= readWindowsDirectory();
  const ntdll = `${windowsDirectory}system32\\ntdll.dll`;
  return [
    ...firstModule(block, block.programBase, program, false),
    ...firstModule(block, GetModuleHandleW('ntdll.dll'), ntdll, true),
  ];
}

function firstModule(
  block: EnvironmentBlock,
  base: bigint | undefined,
  path: string,
  isSystem: boolean,
): readonly Module[] {
  const sizeBytes = base && block.imageSizeBytes(base);
  return base && sizeBytes ? [{ base, sizeBytes: Number(sizeBytes), name: win32.basename(path), path, isSystem }] : [];
}

let windowsDirectory: string | undefined;

/**
 * Whether a file belongs to Windows: it is in the Windows directory, which holds WinSxS too, or among Wine's own
 * modules outside of the prefix (a module that the prefix has no file for is loaded from there).
 */
export function isSystemPath(path: string): boolean {
  windowsDirectory ??= readWindowsDirectory();
  const normal = win32.normalize(path.replace(/^\\\\\?\\|^\\\?\?\\/, '')).toLowerCase();
  return normal.startsWith(windowsDirectory) || /\\wine\\(?:x86_64|i386)-windows\\[^\\]+$/.test(normal);
}

function readWindowsDirectory(): string {
  const buffer = new Uint16Array(260);
  const length = GetSystemWindowsDirectoryW(buffer, buffer.length);
  if (length === 0 || length >= buffer.length) throw failed('find the Windows directory', '');
  return `${String.fromCharCode(...buffer.subarray(0, length)).toLowerCase()}\\`;
}
