import type { HANDLE } from '../ffi/library.ts';
import {
  NtQueryEvent,
  NtQueryInformationJobObject,
  NtQueryInformationProcess,
  NtQueryInformationToken,
  NtQueryIoCompletion,
  NtQueryKey,
  NtQueryMutant,
  NtQueryObject,
  NtQuerySection,
  NtQuerySemaphore,
  NtQueryTimer,
} from '../ffi/ntdll.ts';
import { fileTimeToDate } from '../process/file-time.ts';

/** One property of an object: `signalled`, `yes`. Keys are camelCase and stable; `*Bytes` and `*Ms` give the unit. */
export type Detail = readonly [key: string, value: string | number | bigint | boolean];

/** How many handles and pointers keep an object alive. */
export interface ReferenceCounts {
  readonly handles: number;
  /**
   * The kernel's own count: handles and uses by the kernel. Windows adds the references that handles hold in reserve.
   */
  readonly pointers: number;
}

const ObjectBasicInformation = 0;

/**
 * @param ours how many handles of this process are among those that the kernel counts
 * @returns `undefined` where the kernel refuses
 */
export function queryReferenceCounts(handle: HANDLE, ours: number): ReferenceCounts | undefined {
  // PUBLIC_OBJECT_BASIC_INFORMATION: +0 ULONG Attributes, +4 ACCESS_MASK GrantedAccess, +8 ULONG HandleCount, +12 ULONG
  // PointerCount; 56 bytes
  const basic = Buffer.alloc(56);
  if (NtQueryObject(handle, ObjectBasicInformation, basic, 56, null) !== 0) return undefined;
  return { handles: basic.readUInt32LE(8) - ours, pointers: basic.readUInt32LE(12) - ours };
}

type Query = (
  handle: HANDLE,
  informationClass: number,
  information: Buffer,
  length: number,
  returnLength: null,
) => number;

/**
 * The questions about objects of one type. Each is a call of its own, because the handle may have the right for one and
 * not for another.
 */
interface Question {
  readonly query: Query;
  readonly informationClass: number;
  readonly sizeBytes: number;
  readonly decode: (answer: Buffer) => readonly Detail[];
}

const questions: Readonly<Record<string, readonly Question[]>> = {
  // phnt's ntexapi.h: EVENT_BASIC_INFORMATION: +0 EVENT_TYPE (0 notification), +4 LONG EventState
  Event: [
    ask(NtQueryEvent, 0, 8, (b) => [
      ['signalled', b.readInt32LE(4) !== 0],
      ['reset', b.readUInt32LE(0) === 0 ? 'manual' : 'automatic'],
    ]),
  ],
  Mutant: [
    // MUTANT_BASIC_INFORMATION: +0 LONG CurrentCount, +4 BOOLEAN OwnedByCaller, +5 BOOLEAN AbandonedState
    ask(NtQueryMutant, 0, 8, (b) => [
      ['owned', b.readInt32LE(0) <= 0],
      ['recursion', Math.max(0, 1 - b.readInt32LE(0))],
      ['abandoned', b.readUInt8(5) !== 0],
    ]),
    // MUTANT_OWNER_INFORMATION: CLIENT_ID { process, thread }
    ask(NtQueryMutant, 1, 16, (b) =>
      b.readUInt32LE(0) === 0
        ? []
        : [
            ['ownerProcess', b.readUInt32LE(0)],
            ['ownerThread', b.readUInt32LE(8)],
          ],
    ),
  ],
  // SEMAPHORE_BASIC_INFORMATION: +0 LONG CurrentCount, +4 LONG MaximumCount
  Semaphore: [
    ask(NtQuerySemaphore, 0, 8, (b) => [
      ['count', b.readInt32LE(0)],
      ['maximum', b.readInt32LE(4)],
    ]),
  ],
  // TIMER_BASIC_INFORMATION: +0 LARGE_INTEGER RemainingTime (100 ns), +8 BOOLEAN TimerState
  Timer: [
    ask(NtQueryTimer, 0, 16, (b) => {
      const remaining = b.readBigInt64LE(0);
      // A timer that was never set, or has run out, has no remaining time.
      const isDue = remaining > 0n && remaining < 0x7000_0000_0000_0000n;
      return [
        ['signalled', b.readUInt8(8) !== 0],
        ...(isDue ? [['remainingMs', Number(remaining / 10_000n)] as Detail] : []),
      ];
    }),
  ],
  // SECTION_BASIC_INFORMATION: +0 PVOID BaseAddress, +8 ULONG AllocationAttributes, +16 LARGE_INTEGER MaximumSize
  Section: [
    ask(NtQuerySection, 0, 24, (b) => [
      ['sizeBytes', b.readBigInt64LE(16)],
      [
        'backedBy',
        (b.readUInt32LE(8) & 0x0100_0000) !== 0
          ? 'image'
          : (b.readUInt32LE(8) & 0x0080_0000) !== 0
            ? 'file'
            : 'page file',
      ],
    ]),
  ],
  // KEY_FULL_INFORMATION: +0 LARGE_INTEGER LastWriteTime, +20 ULONG SubKeys, +32 ULONG Values; 44 bytes, then the class
  Key: [
    ask(NtQueryKey, 2, 1024, (b) => [
      ['subKeys', b.readUInt32LE(20)],
      ['values', b.readUInt32LE(32)],
      ...timeDetail('lastWritten', b.readBigInt64LE(0)),
    ]),
  ],
  // IO_COMPLETION_BASIC_INFORMATION: +0 LONG Depth
  IoCompletion: [ask(NtQueryIoCompletion, 0, 4, (b) => [['queued', b.readInt32LE(0)]])],
  // JOBOBJECT_BASIC_ACCOUNTING_INFORMATION: +36 DWORD TotalProcesses, +40 DWORD ActiveProcesses, +44 DWORD
  // TotalTerminatedProcesses
  Job: [
    ask(NtQueryInformationJobObject, 1, 48, (b) => [
      ['activeProcesses', b.readUInt32LE(40)],
      ['totalProcesses', b.readUInt32LE(36)],
    ]),
  ],
  Process: [
    // KERNEL_USER_TIMES: +0 LARGE_INTEGER CreateTime, +8 ExitTime, +16 KernelTime, +24 UserTime
    ask(NtQueryInformationProcess, 4, 32, (b) => [
      ...timeDetail('started', b.readBigInt64LE(0)),
      ...timeDetail('exited', b.readBigInt64LE(8)),
    ]),
  ],
  Token: [
    // TOKEN_STATISTICS: +24 TOKEN_TYPE (1 primary), +28 SECURITY_IMPERSONATION_LEVEL; 56 bytes
    ask(NtQueryInformationToken, 10, 56, (b) => [['kind', b.readUInt32LE(24) === 1 ? 'primary' : 'impersonation']]),
    // TOKEN_USER: +0 PSID Sid, +8 ULONG Attributes, and the SID behind them
    ask(NtQueryInformationToken, 1, 16 + 68, (b) => [['user', formatSid(b.subarray(16))]]),
    // TOKEN_ELEVATION: +0 DWORD TokenIsElevated
    ask(NtQueryInformationToken, 20, 4, (b) => [['elevated', b.readUInt32LE(0) !== 0]]),
  ],
};

function ask(
  query: Query,
  informationClass: number,
  sizeBytes: number,
  decode: (answer: Buffer) => readonly Detail[],
): Question {
  return { query, informationClass, sizeBytes, decode };
}

/**
 * The properties of an object besides its name. Those that the kernel refuses, for lack of a right or because this
 * Windows does not know the question, are left out. For files the helper process asks: see `queryFileDetails`.
 */
export function queryObjectDetails(handle: HANDLE, type: string): readonly Detail[] {
  return (questions[type] ?? []).flatMap(({ query, informationClass, sizeBytes, decode }) => {
    const answer = Buffer.alloc(sizeBytes);
    return query(handle, informationClass, answer, sizeBytes, null) === 0 ? decode(answer) : [];
  });
}

/** A FILETIME as ISO 8601; nothing for 0, which means never. */
function timeDetail(key: string, fileTime: bigint): readonly Detail[] {
  const date = fileTimeToDate(fileTime);
  return date === undefined ? [] : [[key, date.toISOString()]];
}

/** SID: +0 revision, +1 count, +2 authority (6 bytes, big endian), +8 sub-authorities. */
function formatSid(sid: Buffer): string {
  const count = Math.min(sid.readUInt8(1), 15);
  const parts = Array.from({ length: count }, (_, i) => sid.readUInt32LE(8 + i * 4));
  return ['S', sid.readUInt8(0), sid.readUIntBE(2, 6), ...parts].join('-');
}
