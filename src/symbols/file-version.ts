import { NtQueryFullAttributesFile } from '../ffi/ntdll.ts';
import { addressOf } from '../ffi/library.ts';

const OBJ_CASE_INSENSITIVE = 0x40;
const FILE_ATTRIBUTE_DIRECTORY = 0x10;
/** A UNICODE_STRING has no more bytes. */
const NAME_SIZE_BYTES_MAX = 0xfffe;

/**
 * A text that is another one as soon as a file is replaced, written to, or renamed: its times and its size. `undefined`
 * where there is no such file. Nothing is opened, so a pipe or a device does no harm.
 *
 * Node.js's `stat` also asks for the volume, and takes ten times as long [Wine 8].
 *
 * @param path absolute, and without a prefix such as `\\?\`
 */
export function readFileVersion(path: string): string | undefined {
  const name = Buffer.from(toKernelPath(path), 'utf16le');
  if (name.length > NAME_SIZE_BYTES_MAX) return undefined;
  const text = Buffer.alloc(16); // UNICODE_STRING
  text.writeUInt16LE(name.length, 0); // USHORT Length
  text.writeUInt16LE(name.length, 2); // USHORT MaximumLength
  text.writeBigUInt64LE(addressOf(name), 8); // PWSTR Buffer
  const attributes = Buffer.alloc(48); // OBJECT_ATTRIBUTES
  attributes.writeUInt32LE(attributes.length, 0); // ULONG Length
  attributes.writeBigUInt64LE(addressOf(text), 16); // PUNICODE_STRING ObjectName
  attributes.writeUInt32LE(OBJ_CASE_INSENSITIVE, 24); // ULONG Attributes
  // FILE_NETWORK_OPEN_INFORMATION: +0 CreationTime, +8 LastAccessTime, +16 LastWriteTime, +24 ChangeTime,
  // +32 AllocationSize, +40 EndOfFile, +48 ULONG FileAttributes
  const information = Buffer.alloc(56);
  if (NtQueryFullAttributesFile(attributes, information) !== 0) return undefined;
  if ((information.readUInt32LE(48) & FILE_ATTRIBUTE_DIRECTORY) !== 0) return undefined;
  return [0, 16, 24, 40].map((at) => information.readBigUInt64LE(at).toString(36)).join(' ');
}

function toKernelPath(path: string): string {
  return path.startsWith('\\\\') ? `\\??\\UNC${path.slice(1)}` : `\\??\\${path}`;
}
