import { win32 } from 'node:path';

import { ProcessBasicInformation } from '../ffi/constants.ts';
import { GetModuleHandleW, GetSystemWindowsDirectoryW } from '../ffi/kernel32.ts';
import { NtQueryInformationProcess } from '../ffi/ntdll.ts';
import type { AsHandle } from '../io/handle.ts';
import { failed, failedWithStatus } from '../io/system-error.ts';
import { tryReadMemory } from './memory.ts';

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
 * @throws NtStatusError when the kernel does not return the address of the environment block
 */
export function listModules(process: AsHandle): readonly Module[] {
  // typedef struct _PROCESS_BASIC_INFORMATION: +8 PPEB PebBaseAddress; 48 bytes
  const basic = Buffer.alloc(48);
  const status = NtQueryInformationProcess(process.asHandle().asRawHandle(), ProcessBasicInformation, basic, 48, null);
  if (status !== 0) throw failedWithStatus('read the modules of a process', '', status);

  const loader = readPointer(process, basic.readBigUInt64LE(8) + 0x18n); // PPEB_LDR_DATA PEB.Ldr
  if (loader === undefined || loader === 0n) return [];
  const head = loader + 0x10n; // LIST_ENTRY PEB_LDR_DATA.InLoadOrderModuleList

  let longest: readonly Module[] = [];
  for (let reading = 1; reading <= READINGS_MAX; reading += 1) {
    const [entries, later] = [walkLoaderList(process, head), walkLoaderList(process, head)];
    // The loader frees an entry and its strings after it has taken it out of the list, and a DLL that is loaded again
    // may get the same memory: an entry counts if it and its names were the same twice.
    const areLasting = Array.from(entries, ([address, entry]) => isSameEntry(entry, later.get(address)));
    const modules = [...entries.values()].flatMap((entry, index) =>
      areLasting[index] === true ? toModule(entry, index === 0) : [],
    );
    if (modules.length > longest.length) longest = modules;
    if (later.size === entries.size && areLasting.every(Boolean)) break;
  }
  return longest;
}

/** The entries by their addresses in the target, in order. */
function walkLoaderList(process: AsHandle, head: bigint): ReadonlyMap<bigint, LoaderEntry> {
  const entries = new Map<bigint, LoaderEntry>();
  let namesSizeBytes = 0;
  let address = readPointer(process, head);
  while (address && address !== head && !entries.has(address) && entries.size < MODULES_MAX) {
    const record = tryReadMemory(process, address, ENTRY.sizeBytes);
    if (record === undefined) break;
    namesSizeBytes += record.readUInt16LE(0x48) + record.readUInt16LE(0x58);
    if (namesSizeBytes > NAMES_SIZE_BYTES_MAX) break;
    entries.set(address, { record, ...readNames(process, record) });
    address = record.readBigUInt64LE(0); // LIST_ENTRY InLoadOrderLinks.Flink
  }
  return entries;
}

/** UNICODE_STRING FullDllName at 0x48 and BaseDllName at 0x58, whose text is the end of the other's in most entries. */
function readNames(process: AsHandle, record: Buffer): Pick<LoaderEntry, 'path' | 'name'> {
  const path = readUnicodeString(process, record, 0x48);
  const begin = Number(record.readBigUInt64LE(0x58 + 8) - record.readBigUInt64LE(0x48 + 8)) / 2;
  const end = begin + Math.floor(record.readUInt16LE(0x58) / 2);
  if (path !== undefined && Number.isInteger(begin) && begin >= 0 && end <= path.length)
    return { path, name: path.slice(begin, end) };
  return { path, name: readUnicodeString(process, record, 0x58) };
}

function isSameEntry({ record, path, name }: LoaderEntry, later: LoaderEntry | undefined): boolean {
  const isSame = later?.record.subarray(ENTRY.own).equals(record.subarray(ENTRY.own)) === true;
  return isSame && later.path === path && later.name === name;
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
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION and PROCESS_VM_READ
 * @param program whole path of the program
 */
export function listFirstModules(process: AsHandle, program: string): readonly Module[] {
  const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION, see listModules
  const status = NtQueryInformationProcess(process.asHandle().asRawHandle(), ProcessBasicInformation, basic, 48, null);
  if (status !== 0) throw failedWithStatus('read the modules of a process', '', status);
  const programBase = readPointer(process, basic.readBigUInt64LE(8) + 0x10n); // PVOID PEB.ImageBaseAddress
  windowsDirectory ??= readWindowsDirectory();
  return [
    ...firstModule(process, programBase, program, false),
    ...firstModule(process, GetModuleHandleW('ntdll.dll'), `${windowsDirectory}system32\\ntdll.dll`, true),
  ];
}

/**
 * WORD Machine of the program of a process, such as 0x8664 for x64; `undefined` where its headers cannot be read.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION and PROCESS_VM_READ
 */
export function readProgramMachine(process: AsHandle): number | undefined {
  const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION, see listModules
  const status = NtQueryInformationProcess(process.asHandle().asRawHandle(), ProcessBasicInformation, basic, 48, null);
  if (status !== 0) return undefined;
  const base = readPointer(process, basic.readBigUInt64LE(8) + 0x10n); // PVOID PEB.ImageBaseAddress
  const peOffset = tryReadMemory(process, (base ?? 0n) + 0x3cn, 4)?.readUInt32LE(0); // LONG e_lfanew
  if (!base || peOffset === undefined) return undefined;
  return tryReadMemory(process, base + BigInt(peOffset) + 4n, 2)?.readUInt16LE(0);
}

/**
 * The command line of a process, as the process has it in its memory; `undefined` where it cannot be read.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION and PROCESS_VM_READ
 */
export function readCommandLine(process: AsHandle): string | undefined {
  return findCommandLine(process)?.text;
}

/** {@link readCommandLine}, with the address of its UNICODE_STRING. */
export function findCommandLine(process: AsHandle): { readonly address: bigint; readonly text: string } | undefined {
  const basic = Buffer.alloc(48); // PROCESS_BASIC_INFORMATION, see listModules
  const status = NtQueryInformationProcess(process.asHandle().asRawHandle(), ProcessBasicInformation, basic, 48, null);
  if (status !== 0) return undefined;
  const parameters = readPointer(process, basic.readBigUInt64LE(8) + 0x20n); // PEB.ProcessParameters
  if (parameters === undefined) return undefined;
  const address = parameters + 0x70n; // UNICODE_STRING CommandLine
  const record = tryReadMemory(process, address, 16);
  const text = record && readUnicodeString(process, record, 0);
  return text === undefined ? undefined : { address, text };
}

function firstModule(process: AsHandle, base: bigint | undefined, path: string, isSystem: boolean): readonly Module[] {
  const peOffset = base && tryReadMemory(process, base + 0x3cn, 4)?.readUInt32LE(0); // LONG e_lfanew
  // DWORD SizeOfImage
  const sizeBytes = base && peOffset && tryReadMemory(process, base + BigInt(peOffset) + 0x50n, 4)?.readUInt32LE(0);
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

function readPointer(process: AsHandle, address: bigint): bigint | undefined {
  return tryReadMemory(process, address, 8)?.readBigUInt64LE(0);
}

/** The text of a UNICODE_STRING at `offset` of `record`: +0 USHORT Length in bytes, +8 PWSTR Buffer. */
function readUnicodeString(process: AsHandle, record: Buffer, offset: number): string | undefined {
  const sizeBytes = record.readUInt16LE(offset) & ~1;
  if (sizeBytes === 0) return '';
  return tryReadMemory(process, record.readBigUInt64LE(offset + 8), sizeBytes)?.toString('utf16le');
}
