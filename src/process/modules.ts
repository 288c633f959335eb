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

/** A process has tens to hundreds of modules. A longer list is damaged, or made to be long. */
const MODULES_MAX = 4096;
/** Each of their names may have 64 KiB by its length, and most have less than a hundredth of that. */
const NAMES_SIZE_BYTES_MAX = 4 << 20;
const MODULE_SIZE_MAX = 0x1_0000_0000;

/** A list that never stands still is not read more often. */
const READINGS_MAX = 8;

/** LDR_DATA_TABLE_ENTRY, up to BaseDllName. The links before `own` change with an entry's neighbours. */
const ENTRY = { sizeBytes: 0x68, own: 0x30 } as const;

/** An entry of the loader's list, and its names at the time. */
interface LoaderEntry {
  readonly record: Buffer;
  readonly path: string | undefined;
  readonly name: string | undefined;
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
  if (isStanding) return toModules(walkLoaderList(reader, head));

  let longest: readonly Module[] = [];
  for (let reading = 1; reading <= READINGS_MAX; reading += 1) {
    const entries = walkLoaderList(PageReader.of(process), head);
    const later = walkLoaderList(PageReader.of(process), head);
    // The loader frees an entry and its strings after it has taken it out of the list, and a DLL that is loaded again
    // may get the same memory: an entry counts if it and its names were the same twice.
    const areLasting = Array.from(entries, ([address, entry]) => isSameEntry(entry, later.get(address)));
    const modules = toModules(entries, areLasting);
    if (modules.length > longest.length) longest = modules;
    if (later.size === entries.size && areLasting.every(Boolean)) break;
  }
  return longest;
}

/** The entries by their addresses in the target, in order. */
function walkLoaderList(reader: PageReader, head: bigint): ReadonlyMap<bigint, LoaderEntry> {
  const entries = new Map<bigint, LoaderEntry>();
  let namesSizeBytes = 0;
  let address = reader.readPointer(head);
  while (address && address !== head && !entries.has(address) && entries.size < MODULES_MAX) {
    const record = reader.read(address, ENTRY.sizeBytes);
    if (record === undefined) break;
    namesSizeBytes += record.readUInt16LE(0x48) + record.readUInt16LE(0x58);
    if (namesSizeBytes > NAMES_SIZE_BYTES_MAX) break;
    entries.set(address, { record, ...readNames(reader, record) });
    address = record.readBigUInt64LE(0); // LIST_ENTRY InLoadOrderLinks.Flink
  }
  return entries;
}

/** UNICODE_STRING FullDllName at 0x48 and BaseDllName at 0x58, whose text is the end of the other's in most entries. */
function readNames(reader: PageReader, record: Buffer): Pick<LoaderEntry, 'path' | 'name'> {
  const path = reader.readText(record, 0x48);
  const begin = Number(record.readBigUInt64LE(0x58 + 8) - record.readBigUInt64LE(0x48 + 8)) / 2;
  const end = begin + Math.floor(record.readUInt16LE(0x58) / 2);
  if (path !== undefined && Number.isInteger(begin) && begin >= 0 && end <= path.length)
    return { path, name: path.slice(begin, end) };
  return { path, name: reader.readText(record, 0x58) };
}

function isSameEntry({ record, path, name }: LoaderEntry, later: LoaderEntry | undefined): boolean {
  const isSame = later?.record.subarray(ENTRY.own).equals(record.subarray(ENTRY.own)) === true;
  return isSame && later.path === path && later.name === name;
}

/** @param areLasting which of the entries count; all, where it is absent */
function toModules(entries: ReadonlyMap<bigint, LoaderEntry>, areLasting?: readonly boolean[]): readonly Module[] {
  return [...entries.values()].flatMap((entry, index) =>
    areLasting?.[index] === false ? [] : toModule(entry, index === 0),
  );
}

/** Nothing where the entry is no module's. */
function toModule({ record, path, name }: LoaderEntry, isProgram: boolean): readonly Module[] {
  const base = record.readBigUInt64LE(0x30); // PVOID DllBase
  const sizeBytes = record.readUInt32LE(0x40); // ULONG SizeOfImage
  if (base === 0n || sizeBytes === 0 || sizeBytes >= MODULE_SIZE_MAX || !path || path.includes('\0')) return [];
  return [{ base, sizeBytes, name: win32.basename(name || path), path, isSystem: !isProgram && isSystemPath(path) }];
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
