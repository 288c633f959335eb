import { closeSync, existsSync, openSync, readSync, statSync } from 'node:fs';
import { win32 } from 'node:path';

/** The program to audit cannot be: it is not there, not a program, or not of a kind that is audited. */
export class ProgramError extends Error {
  constructor(program: string, why: string, advice: string) {
    super(`Cannot run ${JSON.stringify(program)}: ${why}. Try ${advice}.`);
    this.name = 'ProgramError';
  }
}

/**
 * The whole path of the program that `name` means: as it is when it has a directory, else in the current directory, along
 * PATH, and beside this very Node.js (as CreateProcess would look beside the calling program). `.exe` may be left out.
 *
 * @throws ProgramError when there is no such file
 */
export function findProgram(name: string, environment: NodeJS.ProcessEnv = process.env): string {
  const directories = /[\\/]/.test(name)
    ? ['']
    : ['.', ...(environment['PATH'] ?? environment['Path'] ?? '').split(';').filter(Boolean), win32.dirname(process.execPath)];
  const names = /\.[^\\/.]+$/.test(name) ? [name, `${name}.exe`] : [`${name}.exe`, name];
  for (const directory of directories) {
    for (const candidate of names) {
      const path = win32.resolve(directory, candidate);
      if (existsSync(path) && statSync(path).isFile()) return path;
    }
  }
  throw new ProgramError(name, 'there is no such file', 'its whole path, and check its spelling');
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
  const header = readHeader(path);
  const notProgram = () => new ProgramError(path, 'it is not a Windows program', 'an .exe; for a script name its interpreter first');
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
}

/** The first 64 KiB of the file: e_lfanew points far only in files made to confuse. */
function readHeader(path: string): Buffer {
  try {
    const file = openSync(path, 'r');
    try {
      const header = Buffer.alloc(0x1_0000);
      return header.subarray(0, readSync(file, header, 0, header.length, 0));
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new ProgramError(path, `it cannot be read (${(error as NodeJS.ErrnoException).code ?? error})`, 'an account that may');
  }
}
