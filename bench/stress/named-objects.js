import { addressOf, DWORD, HANDLE, loadLibrary, NTSTATUS, POINTER } from '../../dist/ffi/library.js';
import { CloseHandle } from '../../dist/ffi/kernel32.js';
import { listProcesses } from '../../dist/process/processes.js';

/** @typedef {import('../../dist/ffi/library.js').HANDLE} Handle */

const DIRECTORY_QUERY = 1;
const ENTRY_SIZE_BYTES = 32; // OBJECT_DIRECTORY_INFORMATION: UNICODE_STRING Name, TypeName

const ntdll = loadLibrary('ntdll.dll');
/** @type {(DirectoryHandle: BigInt64Array, DesiredAccess: number, ObjectAttributes: Buffer) => number} */
const NtOpenDirectoryObject = ntdll.define('NtOpenDirectoryObject', NTSTATUS, [POINTER, DWORD, POINTER]);
/**
 * @type {(DirectoryHandle: Handle, Buffer: Buffer, Length: number, ReturnSingleEntry: number, RestartScan: number,
 *   Context: Uint32Array, ReturnLength: null) => number}
 */
const NtQueryDirectoryObject = ntdll.define('NtQueryDirectoryObject', NTSTATUS, [
  HANDLE,
  POINTER,
  DWORD,
  DWORD,
  DWORD,
  POINTER,
  POINTER,
]);

/** The names of the objects that the tool or its targets have made, in this session and for all sessions. */
export function listNamedObjects() {
  const own = listProcesses().find(({ processId }) => processId === process.pid);
  const directories = ['\\BaseNamedObjects', `\\Sessions\\${own?.sessionId ?? 1}\\BaseNamedObjects`];
  return directories.flatMap((directory) =>
    listDirectory(directory)
      .filter((name) => name.startsWith('unclosed-'))
      .map((name) => `${directory}\\${name}`),
  );
}

/** @param {string} path */
function listDirectory(path) {
  const text = Buffer.from(path, 'utf16le');
  const name = Buffer.alloc(16); // UNICODE_STRING
  name.writeUInt16LE(text.length, 0);
  name.writeUInt16LE(text.length, 2);
  name.writeBigUInt64LE(addressOf(text), 8);
  const attributes = Buffer.alloc(48); // OBJECT_ATTRIBUTES
  attributes.writeUInt32LE(48, 0);
  attributes.writeBigUInt64LE(addressOf(name), 16);
  const opened = new BigInt64Array(1);
  if (NtOpenDirectoryObject(opened, DIRECTORY_QUERY, attributes) !== 0) return [];
  const directory = /** @type {Handle} */ (opened[0]);
  const buffer = Buffer.alloc(0x1000);
  const address = addressOf(buffer);
  const index = new Uint32Array(1);
  /** @type {string[]} */
  const names = [];
  while (NtQueryDirectoryObject(directory, buffer, buffer.length, 1, names.length === 0 ? 1 : 0, index, null) === 0) {
    if (buffer.length < ENTRY_SIZE_BYTES) break;
    const at = Number(buffer.readBigUInt64LE(8) - address); // PWSTR Name.Buffer
    names.push(buffer.toString('utf16le', at, at + buffer.readUInt16LE(0)));
  }
  CloseHandle(directory);
  return names;
}
