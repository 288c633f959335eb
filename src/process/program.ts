import * as fs from 'node:fs';
import { closeSync, existsSync, fstatSync, openSync, readSync, statSync } from 'node:fs';
import { win32 } from 'node:path';

import { ERROR_ACCESS_DENIED } from '../ffi/constants.ts';
import { GetLastError } from '../ffi/kernel32.ts';
import { Win32Error } from '../io/index.ts';
import { UserError } from '../user-error.ts';

/** The program cannot be audited: it is not there, not a program, or of a kind that the tool does not audit. */
export class ProgramError extends UserError {
  constructor(program: string, why: string, advice: string) {
    super(`Cannot run "${program}": ${why}. Try ${advice}.`);
  }
}

/**
 * The whole path of the program that `name` means: as it is when it has a directory, else in the current directory,
 * along PATH, and beside this very Node.js (as CreateProcess would look beside the calling program). `.exe` may be left
 * out.
 *
 * @throws ProgramError when there is no such file
 */
export function findProgram(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const directories = /[\\/]/.test(name)
    ? ['']
    : [
        '.',
        ...(environment['PATH'] ?? environment['Path'] ?? '').split(';').filter(Boolean),
        win32.dirname(process.execPath),
      ];
  const names = /\.[^\\/.]+$/.test(name) ? [name, `${name}.exe`] : [`${name}.exe`, name];
  for (const directory of directories) {
    for (const candidate of names) {
      const path = win32.resolve(directory, candidate);
      if (existsSync(path) && statSync(path).isFile()) return path;
      const target = aliasTarget(path);
      if (target !== undefined)
        throw new ProgramError(
          path,
          `it is an app execution alias for "${target}", which only Windows starts`,
          'an installation that is not from the Microsoft Store',
        );
    }
  }
  if (statSync(name, { throwIfNoEntry: false })?.isDirectory())
    throw new ProgramError(name, 'it is a directory', 'the program in it');
  throw new ProgramError(
    name,
    'there is no such file',
    directories.length > 1 ? 'its whole path: it is neither here nor on the PATH' : 'another spelling',
  );
}

/**
 * The program that an app execution alias stands for, such as `WindowsApps\\python.exe`. The file is a link of a kind
 * of its own (IO_REPARSE_TAG_APPEXECLINK): it cannot be opened, so that it seems not to exist, but Node.js reads it.
 *
 * @param files the functions of node:fs, or others in a test
 * @returns `undefined` for a path that is none; also for a link to nowhere, whose target does not exist either
 */
export function aliasTarget(
  path: string,
  files: Pick<typeof fs, 'lstatSync' | 'readlinkSync' | 'existsSync'> = fs,
): string | undefined {
  try {
    if (files.existsSync(path) || files.lstatSync(path, { throwIfNoEntry: false })?.isSymbolicLink() !== true)
      return undefined;
    const target = files.readlinkSync(path);
    return files.existsSync(target) ? target : undefined;
  } catch {
    return undefined; // it is there, and cannot be read
  }
}

const IMAGE_FILE_MACHINE_I386 = 0x14c;
const IMAGE_FILE_MACHINE_AMD64 = 0x8664;
const IMAGE_FILE_MACHINE_ARM64 = 0xaa64;
const IMAGE_FILE_DLL = 0x2000;

/**
 * Makes sure that a file is a 64-bit x86 program.
 *
 * https://learn.microsoft.com/windows/win32/debug/pe-format
 *
 * @throws ProgramError when it is anything else, or cannot be read
 */
export function checkProgram(path: string): void {
  const { header, sizeBytes } = readHeader(path);
  const notProgram = () =>
    new ProgramError(path, 'it is not a Windows program', 'an .exe; for a script name its interpreter first');
  if (header.length < 0x40 || header.toString('latin1', 0, 2) !== 'MZ') throw notProgram();
  const peOffset = header.readUInt32LE(0x3c); // LONG e_lfanew
  if (peOffset + 24 > header.length || header.readUInt32LE(peOffset) !== 0x4550) throw notProgram(); // "PE\0\0"
  const machine = header.readUInt16LE(peOffset + 4); // WORD FileHeader.Machine
  if (machine === IMAGE_FILE_MACHINE_I386) {
    throw new ProgramError(path, 'it is a 32-bit program, which is not audited yet', 'a 64-bit build of it');
  }
  if (machine === IMAGE_FILE_MACHINE_ARM64) {
    throw new ProgramError(path, 'it is an ARM64 program, which is not audited yet', 'an x64 build of it');
  }
  if (machine !== IMAGE_FILE_MACHINE_AMD64) {
    throw new ProgramError(path, `its machine type 0x${machine.toString(16)} is not x64`, 'an x64 build of it');
  }
  if (header.readUInt16LE(peOffset + 22) & IMAGE_FILE_DLL) {
    throw new ProgramError(path, 'it is a DLL', 'the program that loads it');
  }
  if (endOfSections(header, peOffset) > sizeBytes + FILE_ALIGNMENT) {
    throw new ProgramError(path, 'its end is missing', 'another copy of it');
  }
}

/** Sections in a file are padded to multiples of this, and a linker may leave out the padding of the last one. */
const FILE_ALIGNMENT = 0x200;

/** The end of the last section of the header, as an offset in the file. */
function endOfSections(header: Buffer, peOffset: number): number {
  const count = header.readUInt16LE(peOffset + 6); // WORD FileHeader.NumberOfSections
  const first = peOffset + 24 + header.readUInt16LE(peOffset + 20); // WORD FileHeader.SizeOfOptionalHeader
  let end = first + 40 * count;
  for (let section = first; section < first + 40 * count && section + 40 <= header.length; section += 40) {
    const sizeBytes = header.readUInt32LE(section + 16); // DWORD SizeOfRawData
    if (sizeBytes > 0) end = Math.max(end, header.readUInt32LE(section + 20) + sizeBytes); // DWORD PointerToRawData
  }
  return end;
}

/** The error for a program that Windows has just refused to start; reads GetLastError. */
export function refusedToStart(path: string): Error {
  const code = GetLastError();
  if (code === ERROR_BAD_EXE_FORMAT || code === ERROR_EXE_MACHINE_TYPE_MISMATCH) {
    return new ProgramError(
      path,
      `Windows does not take it for a program that it can run (ERROR_BAD_EXE_FORMAT ${code})`,
      'another copy of it',
    );
  }
  const advice = new Map([
    [ERROR_ACCESS_DENIED, 'an account that may run it'],
    [ERROR_ELEVATION_REQUIRED, 'an elevated terminal'],
  ]);
  return new Win32Error({ what: 'start', object: `"${path}"`, tryThis: advice.get(code) }, code);
}

const ERROR_BAD_EXE_FORMAT = 193;
const ERROR_EXE_MACHINE_TYPE_MISMATCH = 216;
const ERROR_ELEVATION_REQUIRED = 740;

/** The first 64 KiB of the file: e_lfanew points far only in files made to confuse. */
function readHeader(path: string): { header: Buffer; sizeBytes: number } {
  try {
    const file = openSync(path, 'r');
    try {
      const header = Buffer.alloc(0x1_0000);
      return {
        header: header.subarray(0, readSync(file, header, 0, header.length, 0)),
        sizeBytes: fstatSync(file).size,
      };
    } finally {
      closeSync(file);
    }
  } catch (error) {
    const { code = String(error) } = error as NodeJS.ErrnoException;
    const isDenied = code === 'EACCES' || code === 'EPERM';
    throw new ProgramError(
      path,
      isDenied ? `access is denied (${code})` : `it cannot be read (${code})`,
      'an account that may read it',
    );
  }
}
