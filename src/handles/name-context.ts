import { QueryDosDeviceW } from '../ffi/kernel32.ts';
import { viewMemory } from '../ffi/library.ts';
import { RtlFormatCurrentUserKeyPath, RtlFreeUnicodeString } from '../ffi/ntdll.ts';
import { nowMs } from '../process/clock.ts';
import type { NameContext } from './display-name.ts';

/** Drives come and go, but a tree of processes may have a hundred looks a second, each with 26 questions. */
const FRESH_MS = 1000;

let last: { readonly context: NameContext; readonly readMs: number } | undefined;

/**
 * The drives and the user of this process, no more than a second old.
 *
 * https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-querydosdevicew
 */
export function readNameContext(): NameContext {
  const now = nowMs();
  if (last === undefined || now - last.readMs > FRESH_MS)
    last = { context: { drives: readDrives(), currentUserKey: readCurrentUserKey() }, readMs: now };
  return last.context;
}

function readDrives(): ReadonlyMap<string, string> {
  const drives = new Map<string, string>();
  const target = new Uint16Array(2048);
  for (let letter = 0x41; letter <= 0x5a; letter++) {
    const drive = `${String.fromCharCode(letter)}:`;
    const length = QueryDosDeviceW(drive, target, target.length);
    if (length === 0) continue;
    const device = Buffer.from(target.buffer, 0, length * 2)
      .toString('utf16le')
      .split('\0', 1)[0]!;
    // A letter made with `subst` stands for \??\C:\dir: files there are named by the drive that they are on.
    if (device.startsWith('\\Device\\')) drives.set(drive, device);
  }
  return drives;
}

function readCurrentUserKey(): string | undefined {
  const key = Buffer.alloc(16); // UNICODE_STRING: +0 USHORT Length in bytes, +8 PWSTR Buffer
  if (RtlFormatCurrentUserKeyPath(key) !== 0) return undefined;
  const path = Buffer.from(viewMemory(key.readBigUInt64LE(8), key.readUInt16LE(0))).toString('utf16le');
  RtlFreeUnicodeString(key);
  return path;
}
