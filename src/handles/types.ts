import { STATUS_INFO_LENGTH_MISMATCH } from '../ffi/constants.ts';
import { NtQueryObject } from '../ffi/ntdll.ts';
import type { HANDLE } from '../ffi/library.ts';
import { failedWithStatus } from '../io/system-error.ts';
import { readCountedString } from './unicode-string.ts';

/** One kind of kernel object of this running system. */
interface ObjectType {
  /** `Event`, `File`, `Key`… */
  readonly name: string;
  /** Its place in the kernel's type table; differs from build to build. */
  readonly index: number;
  /** All access bits that mean something for it. */
  readonly validAccess: number;
  /** The access that GENERIC_READ, GENERIC_WRITE, GENERIC_EXECUTE and GENERIC_ALL stand for, in this order. */
  readonly genericMapping: readonly [read: number, write: number, execute: number, all: number];
}

const ObjectTypesInformation = 3;
const ENTRY_SIZE_BYTES = 104;
const NO_HANDLE = 0n as HANDLE;

let known: readonly ObjectType[] | undefined;

/**
 * The kernel's type table, read once.
 *
 * https://learn.microsoft.com/windows/win32/api/winternl/nf-winternl-ntqueryobject
 *
 * @throws NtStatusError when the kernel refuses
 */
export function objectTypes(): readonly ObjectType[] {
  known ??= readObjectTypes();
  return known;
}

function readObjectTypes(): readonly ObjectType[] {
  for (let sizeBytes = 16_384; ; sizeBytes *= 2) {
    const table = Buffer.alloc(sizeBytes);
    const status = NtQueryObject(NO_HANDLE, ObjectTypesInformation, table, sizeBytes, new Uint32Array(1));
    if (status === 0) return decodeObjectTypes(table);
    if (status !== STATUS_INFO_LENGTH_MISMATCH || sizeBytes > 1 << 24) {
      throw failedWithStatus('read the table of object types', '', status);
    }
  }
}

/**
 * Takes apart what NtQueryObject(ObjectTypesInformation) returns: +0 ULONG count, +8 the entries. A table that ends
 * early, or whose lengths lead out of it, gives the entries before the damage.
 */
export function decodeObjectTypes(table: Buffer): readonly ObjectType[] {
  const count = table.readUInt32LE(0);
  const types: ObjectType[] = [];
  let at = 8;
  for (let i = 0; i < count && at + ENTRY_SIZE_BYTES <= table.length; i++) {
    const nameBytes = table.readUInt16LE(at); // USHORT TypeName.Length
    const nameBytesMax = table.readUInt16LE(at + 2); // USHORT TypeName.MaximumLength
    types.push({
      // The name follows the entry; its pointer says the same, as an address.
      name: readCountedString(table, at + ENTRY_SIZE_BYTES, nameBytes),
      genericMapping: [
        table.readUInt32LE(at + 68), // ACCESS_MASK GenericMapping.GenericRead
        table.readUInt32LE(at + 72), // ACCESS_MASK GenericMapping.GenericWrite
        table.readUInt32LE(at + 76), // ACCESS_MASK GenericMapping.GenericExecute
        table.readUInt32LE(at + 80), // ACCESS_MASK GenericMapping.GenericAll
      ],
      validAccess: table.readUInt32LE(at + 84), // ULONG ValidAccessMask
      index: table.readUInt8(at + 90), // UCHAR TypeIndex, since Windows 8.1
    });
    at += ENTRY_SIZE_BYTES + ((nameBytesMax + 7) & ~7);
  }
  return types;
}
