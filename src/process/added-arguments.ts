import { VirtualAllocEx, WriteProcessMemory } from '../ffi/kernel32.ts';
import { type AsHandle, failed } from '../io/index.ts';
import { insertArguments } from './command-line.ts';
import { findCommandLine } from './modules.ts';

const MEM_COMMIT_RESERVE = 0x3000;
const PAGE_READWRITE = 0x04;

/** A UNICODE_STRING has no more characters, with the 0 at its end. */
const LENGTH_MAX = 0x7fff;

/**
 * Adds arguments before those of a process that has not begun to run, as if its parent had given them. Its own code
 * reads the command line later.
 *
 * @param process opened with PROCESS_QUERY_LIMITED_INFORMATION, PROCESS_VM_OPERATION, PROCESS_VM_READ and
 *   PROCESS_VM_WRITE
 * @returns whether they were added: a command line may be too long for them
 * @throws Win32Error when Windows refuses to write to the process
 */
export function addArguments(process: AsHandle, args: readonly string[]): boolean {
  const found = findCommandLine(process);
  if (found === undefined) return false;
  const line = insertArguments(found.text, args);
  if (line.length >= LENGTH_MAX) return false;
  const text = Buffer.from(`${line}\0`, 'utf16le');
  const raw = process.asHandle().asRawHandle();
  const place = VirtualAllocEx(raw, 0n, BigInt(text.length), MEM_COMMIT_RESERVE, PAGE_READWRITE);
  if (place === 0n) throw failed('make room for a command line in', 'a child process');
  const record = Buffer.alloc(16); // UNICODE_STRING
  record.writeUInt16LE(text.length - 2, 0); // USHORT Length
  record.writeUInt16LE(text.length, 2); // USHORT MaximumLength
  record.writeBigUInt64LE(place, 8); // PWSTR Buffer
  for (const [address, bytes] of [
    [place, text],
    [found.address, record],
  ] as const)
    if (!WriteProcessMemory(raw, address, bytes, BigInt(bytes.length), null))
      throw failed('write the command line of', 'a child process');
  return true;
}
