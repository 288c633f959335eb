import { QueryDosDeviceW } from '../ffi/kernel32.ts';
import { viewMemory } from '../ffi/library.ts';
import { RtlFormatCurrentUserKeyPath, RtlFreeUnicodeString } from '../ffi/ntdll.ts';
import type { NameContext } from './display-name.ts';

/**
 * The drives and the user of this process, read afresh: drives come and go.
 *
 * https://learn.microsoft.com/windows/win32/api/winbase/nf-winbase-querydosdevicew
 */
export function readNameContext(): NameContext {
  return { drives: readDrives(), currentUserKey: readCurrentUserKey() };
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
