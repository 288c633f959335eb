import type { HANDLE } from '../ffi/library.ts';
import { NtQueryInformationFileAsync } from '../ffi/ntdll.ts';

// This module runs in the helper process: see query/server.ts for the syntax that it must not use.

/** Like the details of other objects, but only what JSON can carry. */
export type FileDetail = readonly [key: string, value: string | number | boolean];

const FileStandardInformation = 5;
const FilePositionInformation = 14;
const FileModeInformation = 16;
const FilePipeLocalInformation = 24;

/** https://learn.microsoft.com/windows-hardware/drivers/ddi/ntifs/ns-ntifs-_file_mode_information */
const modes: readonly (readonly [mask: number, name: string])[] = [
  [0x0002, 'write through'],
  [0x0004, 'sequential'],
  [0x0008, 'unbuffered'],
  [0x0010, 'synchronous, alertable'],
  [0x0020, 'synchronous'],
  [0x1000, 'delete on close'],
];

/** The details of a file or pipe. Like the question for its name, each of these questions may block for ever. */
export async function queryFileDetails(handle: HANDLE): Promise<readonly FileDetail[]> {
  const pipe = await query(handle, FilePipeLocalInformation, 40);
  const mode = await query(handle, FileModeInformation, 4);
  const modeDetails: readonly FileDetail[] = mode === undefined ? [] : [['mode', spellMode(mode.readUInt32LE(0))]];
  if (pipe !== undefined) return [...decodePipe(pipe), ...modeDetails];
  const standard = await query(handle, FileStandardInformation, 24);
  const position = await query(handle, FilePositionInformation, 8);
  return [
    ...(standard === undefined ? [] : decodeStandard(standard)),
    ...(position === undefined || standard?.readUInt8(21)
      ? []
      : [['positionBytes', Number(position.readBigInt64LE(0))] as FileDetail]),
    ...modeDetails,
  ];
}

/**
 * FILE_STANDARD_INFORMATION: +8 LARGE_INTEGER EndOfFile, +16 ULONG NumberOfLinks, +20 BOOLEAN DeletePending, +21
 * BOOLEAN Directory
 */
function decodeStandard(answer: Buffer): readonly FileDetail[] {
  const isDirectory = answer.readUInt8(21) !== 0;
  return [
    ['directory', isDirectory],
    ...(isDirectory ? [] : [['sizeBytes', Number(answer.readBigInt64LE(8))] as FileDetail]),
    ['links', answer.readUInt32LE(16)],
    ['deletePending', answer.readUInt8(20) !== 0],
  ];
}

/**
 * FILE_PIPE_LOCAL_INFORMATION: +8 ULONG MaximumInstances, +12 CurrentInstances, +20 ReadDataAvailable, +32
 * NamedPipeState, +36 NamedPipeEnd
 */
function decodePipe(answer: Buffer): readonly FileDetail[] {
  const states = ['unknown', 'disconnected', 'listening', 'connected', 'closing'];
  return [
    ['pipeEnd', answer.readUInt32LE(36) === 1 ? 'server' : 'client'],
    ['pipeState', states[answer.readUInt32LE(32)] ?? 'unknown'],
    ['instances', answer.readUInt32LE(12)],
    ['readableBytes', answer.readUInt32LE(20)],
  ];
}

function spellMode(mode: number): string {
  const names = modes.filter(([mask]) => (mode & mask) !== 0).map(([, name]) => name);
  return names.length === 0 ? 'asynchronous' : names.join(', ');
}

async function query(handle: HANDLE, informationClass: number, sizeBytes: number): Promise<Buffer | undefined> {
  const answer = Buffer.alloc(sizeBytes);
  const status = new BigUint64Array(2); // IO_STATUS_BLOCK: +0 NTSTATUS, +8 ULONG_PTR Information
  return (await NtQueryInformationFileAsync(handle, status, answer, sizeBytes, informationClass)) === 0
    ? answer
    : undefined;
}
