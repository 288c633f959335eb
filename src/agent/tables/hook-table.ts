import type { FilledStructure, HookRole, HookRow, NumberedRow } from './hook-row.ts';
import { type ObjectType, objectTypes } from './object-types.ts';

/**
 * The hook table: one row per system call that opens, closes, duplicates or uses handles. Only rows that the target's
 * ntdll exports are hooked: a call that it does not export cannot be made.
 *
 * Prototypes: phnt (System Informer) and https://learn.microsoft.com/windows/win32/api/winternl/
 */

/**
 * Calls that are documented to begin with (*Handle, DesiredAccess, *ObjectAttributes). The agent reads the attributes
 * in the target, so a call that has another third argument must not stand here.
 */
const takesObjectAttributes: ReadonlySet<string> = new Set([
  ...[
    'File',
    'Event',
    'Mutant',
    'Semaphore',
    'Timer',
    'IoCompletion',
    'Section',
    'Key',
    'DirectoryObject',
    'SymbolicLinkObject',
    'JobObject',
    'Process',
    'Thread',
  ].flatMap((type) => [`NtCreate${type}`, `NtOpen${type}`]),
  'NtCreateNamedPipeFile',
  'NtCreateMailslotFile',
  'NtCreateSectionEx',
  'NtCreateThreadEx',
  'NtOpenKeyEx',
]);

/** The parts of a row that not every call has. */
type Handles = Partial<Pick<HookRow, 'uses' | 'opens' | 'fills' | 'worksOn'>>;

function row(
  name: string,
  argumentCount: number,
  role: HookRole,
  { uses = [], opens = [], fills, worksOn = [] }: Handles = {},
): HookRow {
  const attributes = takesObjectAttributes.has(name) ? { attributes: 2 } : {};
  return { name, argumentCount, role, uses, opens, ...(fills && { fills }), worksOn, ...attributes };
}

/** A call whose first argument receives the handle. */
function opens(name: string, argumentCount: number, type: ObjectType): HookRow {
  return row(name, argumentCount, 'opens', { opens: [{ argument: 0, type }] });
}

/** A call that stores its handle through another argument, or that works on a handle besides. */
function opensThrough(
  argument: number,
  name: string,
  argumentCount: number,
  type: ObjectType,
  worksOn: ObjectType,
  uses: number[] = [0],
): HookRow {
  return row(name, argumentCount, 'opens', { opens: [{ argument, type }], uses, worksOn: [worksOn] });
}

/** A call that loads a hive, and stores a handle to its root if the caller asks for one. */
function opensRoot(name: string, uses: number[]): HookRow {
  const opens = [{ argument: 6, type: 'Key', optional: true }] as const;
  return row(name, 8, 'opens', { uses, opens, worksOn: ['Key'] });
}

/** A call that works on the handles in its arguments; the first of them has the type. */
function uses(name: string, argumentCount: number, type: ObjectType | 'any', handles: number[] = [0]): HookRow {
  return row(name, argumentCount, 'uses', { uses: handles, worksOn: type === 'any' ? 'any' : [type] });
}

/** A call that answers with a structure, which may hold a handle. Most do not know that they have to close it. */
function opensWithin(name: string, argumentCount: number, worksOn: ObjectType, fills: FilledStructure): HookRow {
  return row(name, argumentCount, 'opens-within', { uses: [0], fills, worksOn: [worksOn] });
}

/** No thread can wait for objects of the other types: https://learn.microsoft.com/windows/win32/sync/wait-functions */
const waitable: readonly ObjectType[] = objectTypes.filter(
  (type) => !['Unknown', 'Key', 'Token', 'Section', 'Directory', 'SymbolicLink'].includes(type),
);

const TokenLinkedToken = 19;
const ProcessDebugObjectHandle = 30;
const DbgCreateThreadStateChange = 2;
const DbgCreateProcessStateChange = 3;
const DbgLoadDllStateChange = 9;

/** The rows; a row's number in the ledger is its index here plus 1, and 0 stands for "before recording began". */
export const hookTable: readonly HookRow[] = [
  row('NtClose', 1, 'closes'),
  row('NtDuplicateObject', 7, 'duplicates'),
  row('NtTerminateProcess', 2, 'exits', { uses: [0], worksOn: ['Process'] }),
  row('NtRaiseException', 3, 'raises'),
  row('NtUnmapViewOfSection', 2, 'unmaps'),
  row('NtUnmapViewOfSectionEx', 3, 'unmaps'),

  // Files, pipes, mailslots, sockets
  {
    ...row('NtCreateFile', 11, 'opens-file', { opens: [{ argument: 0, type: 'File' }] }),
    extendedAttributes: 9,
  },
  row('NtOpenFile', 6, 'opens-file', { opens: [{ argument: 0, type: 'File' }] }),
  opens('NtCreateNamedPipeFile', 14, 'File'),
  opens('NtCreateMailslotFile', 8, 'File'),

  // Synchronisation
  opens('NtCreateEvent', 5, 'Event'),
  opens('NtOpenEvent', 3, 'Event'),
  opens('NtCreateEventPair', 3, 'EventPair'),
  opens('NtOpenEventPair', 3, 'EventPair'),
  opens('NtCreateKeyedEvent', 4, 'KeyedEvent'),
  opens('NtOpenKeyedEvent', 3, 'KeyedEvent'),
  opens('NtCreateMutant', 4, 'Mutant'),
  opens('NtOpenMutant', 3, 'Mutant'),
  opens('NtCreateSemaphore', 5, 'Semaphore'),
  opens('NtOpenSemaphore', 3, 'Semaphore'),
  opens('NtCreateTimer', 4, 'Timer'),
  opens('NtCreateTimer2', 5, 'Timer'),
  opens('NtOpenTimer', 3, 'Timer'),
  opens('NtCreateIRTimer', 3, 'IRTimer'),
  opens('NtCreateIoCompletion', 4, 'IoCompletion'),
  opens('NtOpenIoCompletion', 3, 'IoCompletion'),
  opens('NtCreateWaitCompletionPacket', 3, 'WaitCompletionPacket'),
  opens('NtCreateWorkerFactory', 10, 'TpWorkerFactory'),
  opens('NtAllocateReserveObject', 3, 'UserApcReserve'),
  opens('NtCreateIoRing', 5, 'IoRing'),
  opens('NtCreateCrossVmEvent', 6, 'CrossVmEvent'),
  opens('NtCreateCrossVmMutant', 6, 'CrossVmMutant'),

  // Sections, keys, the namespace
  opens('NtCreateSection', 7, 'Section'),
  opens('NtCreateSectionEx', 9, 'Section'),
  opens('NtOpenSection', 3, 'Section'),
  opens('NtCreateKey', 7, 'Key'),
  opens('NtCreateKeyTransacted', 8, 'Key'),
  opens('NtOpenKey', 3, 'Key'),
  opens('NtOpenKeyEx', 4, 'Key'),
  opens('NtOpenKeyTransacted', 4, 'Key'),
  opens('NtOpenKeyTransactedEx', 5, 'Key'),
  opensRoot('NtLoadKeyEx', [3, 4]),
  opensRoot('NtLoadKey3', []),
  opens('NtCreateRegistryTransaction', 4, 'RegistryTransaction'),
  opens('NtOpenRegistryTransaction', 3, 'RegistryTransaction'),
  opens('NtCreateDirectoryObject', 3, 'Directory'),
  opens('NtCreateDirectoryObjectEx', 5, 'Directory'),
  opens('NtOpenDirectoryObject', 3, 'Directory'),
  opens('NtCreatePrivateNamespace', 4, 'Directory'),
  opens('NtOpenPrivateNamespace', 4, 'Directory'),
  opens('NtCreateSymbolicLinkObject', 4, 'SymbolicLink'),
  opens('NtOpenSymbolicLinkObject', 3, 'SymbolicLink'),

  // Processes, threads, tokens, jobs
  row('NtCreateUserProcess', 11, 'creates-process', {
    opens: [
      { argument: 0, type: 'Process' },
      { argument: 1, type: 'Thread' },
    ],
  }),
  opens('NtCreateProcess', 8, 'Process'),
  opens('NtCreateProcessEx', 9, 'Process'),
  opens('NtOpenProcess', 4, 'Process'),
  opensThrough(4, 'NtGetNextProcess', 5, 'Process', 'Process'),
  opensThrough(0, 'NtCreateThread', 8, 'Thread', 'Process', [3]),
  opensThrough(0, 'NtCreateThreadEx', 11, 'Thread', 'Process', [3]),
  opens('NtOpenThread', 4, 'Thread'),
  opensThrough(5, 'NtGetNextThread', 6, 'Thread', 'Process'),
  opens('NtCreateToken', 13, 'Token'),
  opens('NtCreateTokenEx', 17, 'Token'),
  opensThrough(0, 'NtCreateLowBoxToken', 9, 'Token', 'Token', [1]),
  opensThrough(2, 'NtOpenProcessToken', 3, 'Token', 'Process'),
  opensThrough(3, 'NtOpenProcessTokenEx', 4, 'Token', 'Process'),
  opensThrough(3, 'NtOpenThreadToken', 4, 'Token', 'Thread'),
  opensThrough(4, 'NtOpenThreadTokenEx', 5, 'Token', 'Thread'),
  opensThrough(5, 'NtDuplicateToken', 6, 'Token', 'Token'),
  opensThrough(5, 'NtFilterToken', 6, 'Token', 'Token'),
  opensThrough(13, 'NtFilterTokenEx', 14, 'Token', 'Token'),
  opensThrough(0, 'NtAcquireProcessActivityReference', 3, 'ActivityReference', 'Process', [1]),
  opens('NtCreateJobObject', 3, 'Job'),
  opens('NtOpenJobObject', 3, 'Job'),
  opens('NtOpenSession', 3, 'Session'),
  opensThrough(1, 'NtCreatePartition', 5, 'Partition', 'Partition'),
  opens('NtOpenPartition', 3, 'Partition'),
  opens('NtCreateCpuPartition', 3, 'CpuPartition'),
  opens('NtOpenCpuPartition', 3, 'CpuPartition'),
  opens('NtCreateDebugObject', 4, 'DebugObject'),
  // struct DBGUI_WAIT_STATE_CHANGE: +0 DBG_STATE NewState, +8 CLIENT_ID AppClientId, +24 the event
  opensWithin('NtWaitForDebugEvent', 4, 'DebugObject', {
    argument: 3,
    handles: [
      { when: DbgCreateThreadStateChange, offset: 24, type: 'Thread' }, // HANDLE HandleToThread
      { when: DbgCreateProcessStateChange, offset: 24, type: 'Process' }, // HANDLE HandleToProcess
      { when: DbgCreateProcessStateChange, offset: 32, type: 'Thread' }, // HANDLE HandleToThread
      { when: DbgCreateProcessStateChange, offset: 48, type: 'File' }, // HANDLE NewProcess.FileHandle
      { when: DbgLoadDllStateChange, offset: 24, type: 'File' }, // HANDLE FileHandle
    ],
  }),
  opens('NtCreateProfile', 9, 'Profile'),
  opens('NtCreateProfileEx', 10, 'Profile'),
  opens('NtCreateProcessStateChange', 5, 'ProcessStateChange'),
  opens('NtCreateThreadStateChange', 5, 'ThreadStateChange'),

  // Ports
  opens('NtCreatePort', 5, 'ALPC Port'),
  opens('NtCreateWaitablePort', 5, 'ALPC Port'),
  opens('NtConnectPort', 8, 'ALPC Port'),
  opens('NtSecureConnectPort', 9, 'ALPC Port'),
  opens('NtAcceptConnectPort', 6, 'ALPC Port'),
  opens('NtAlpcCreatePort', 3, 'ALPC Port'),
  opens('NtAlpcConnectPort', 11, 'ALPC Port'),
  opens('NtAlpcConnectPortEx', 11, 'ALPC Port'),
  opensThrough(0, 'NtAlpcAcceptConnectPort', 9, 'ALPC Port', 'ALPC Port', [1]),
  opensThrough(0, 'NtAlpcOpenSenderProcess', 6, 'Process', 'ALPC Port', [1]),
  opensThrough(0, 'NtAlpcOpenSenderThread', 6, 'Thread', 'ALPC Port', [1]),

  // Transactions
  opens('NtCreateTransaction', 10, 'TmTx'),
  opens('NtOpenTransaction', 5, 'TmTx'),
  opens('NtCreateTransactionManager', 6, 'TmTm'),
  opens('NtOpenTransactionManager', 6, 'TmTm'),
  opensThrough(0, 'NtCreateResourceManager', 7, 'TmRm', 'TmTm', [2]),
  opensThrough(0, 'NtOpenResourceManager', 5, 'TmRm', 'TmTm', [2]),
  opensThrough(0, 'NtCreateEnlistment', 8, 'TmEn', 'TmRm', [2, 3]),
  opensThrough(0, 'NtOpenEnlistment', 5, 'TmEn', 'TmRm', [2]),

  // Uses
  row('NtWaitForSingleObject', 3, 'waits', { uses: [0], worksOn: waitable }),
  row('NtWaitForMultipleObjects', 5, 'waits-many'),
  row('NtWaitForMultipleObjects32', 5, 'waits-many'),
  row('NtSignalAndWaitForSingleObject', 4, 'uses', { uses: [0, 1], worksOn: ['Event', 'Mutant', 'Semaphore'] }),
  row('NtDeviceIoControlFile', 10, 'controls-device', { uses: [0, 1], worksOn: ['File'] }),
  uses('NtFsControlFile', 10, 'File', [0, 1]),
  uses('NtReadFile', 9, 'File', [0, 1]),
  uses('NtReadFileScatter', 9, 'File', [0, 1]),
  uses('NtWriteFile', 9, 'File', [0, 1]),
  uses('NtWriteFileGather', 9, 'File', [0, 1]),
  uses('NtFlushBuffersFile', 2, 'File'),
  uses('NtFlushBuffersFileEx', 5, 'File'),
  uses('NtLockFile', 10, 'File', [0, 1]),
  uses('NtUnlockFile', 5, 'File'),
  uses('NtQueryInformationFile', 5, 'File'),
  uses('NtSetInformationFile', 5, 'File'),
  uses('NtQueryDirectoryFile', 11, 'File', [0, 1]),
  uses('NtQueryDirectoryFileEx', 10, 'File', [0, 1]),
  uses('NtNotifyChangeDirectoryFile', 9, 'File', [0, 1]),
  uses('NtNotifyChangeDirectoryFileEx', 10, 'File', [0, 1]),
  uses('NtQueryVolumeInformationFile', 5, 'File'),
  uses('NtSetVolumeInformationFile', 5, 'File'),
  uses('NtQueryEaFile', 9, 'File'),
  uses('NtSetEaFile', 4, 'File'),
  uses('NtQueryQuotaInformationFile', 9, 'File'),
  uses('NtSetQuotaInformationFile', 4, 'File'),
  uses('NtCopyFileChunk', 10, 'File', [0, 1, 2]),
  uses('NtGetDevicePowerState', 2, 'File'),
  uses('NtSubmitIoRing', 4, 'IoRing'),
  uses('NtSetInformationIoRing', 4, 'IoRing'),
  uses('NtCancelIoFile', 2, 'File'),
  uses('NtCancelIoFileEx', 3, 'File'),
  uses('NtCancelSynchronousIoFile', 3, 'Thread'),
  uses('NtSetEvent', 2, 'Event'),
  uses('NtResetEvent', 2, 'Event'),
  uses('NtClearEvent', 1, 'Event'),
  uses('NtPulseEvent', 2, 'Event'),
  uses('NtQueryEvent', 5, 'Event'),
  uses('NtSetEventBoostPriority', 1, 'Event'),
  uses('NtReleaseMutant', 2, 'Mutant'),
  uses('NtQueryMutant', 5, 'Mutant'),
  uses('NtAcquireCrossVmMutant', 2, 'CrossVmMutant'),
  uses('NtReleaseSemaphore', 3, 'Semaphore'),
  uses('NtQuerySemaphore', 5, 'Semaphore'),
  uses('NtSetTimer', 7, 'Timer'),
  uses('NtSetTimerEx', 4, 'Timer'),
  uses('NtCancelTimer', 2, 'Timer'),
  uses('NtQueryTimer', 5, 'Timer'),
  uses('NtSetTimer2', 4, 'Timer'),
  uses('NtCancelTimer2', 2, 'Timer'),
  uses('NtSetIRTimer', 2, 'IRTimer'),
  uses('NtSetIoCompletion', 5, 'IoCompletion'),
  uses('NtSetIoCompletionEx', 6, 'IoCompletion'),
  uses('NtRemoveIoCompletion', 5, 'IoCompletion'),
  uses('NtRemoveIoCompletionEx', 6, 'IoCompletion'),
  uses('NtQueryIoCompletion', 5, 'IoCompletion'),
  uses('NtAssociateWaitCompletionPacket', 8, 'WaitCompletionPacket', [0, 1, 2]),
  uses('NtCancelWaitCompletionPacket', 2, 'WaitCompletionPacket'),
  row('NtMapViewOfSection', 10, 'maps', { uses: [0, 1], worksOn: ['Section'] }),
  row('NtMapViewOfSectionEx', 9, 'maps', { uses: [0, 1], worksOn: ['Section'] }),
  uses('NtExtendSection', 2, 'Section'),
  uses('NtQuerySection', 5, 'Section'),
  uses('NtQueryKey', 5, 'Key'),
  uses('NtQueryValueKey', 6, 'Key'),
  uses('NtQueryMultipleValueKey', 6, 'Key'),
  uses('NtSetValueKey', 6, 'Key'),
  uses('NtDeleteKey', 1, 'Key'),
  uses('NtDeleteValueKey', 2, 'Key'),
  uses('NtEnumerateKey', 6, 'Key'),
  uses('NtEnumerateValueKey', 6, 'Key'),
  uses('NtFlushKey', 1, 'Key'),
  uses('NtRenameKey', 2, 'Key'),
  uses('NtSetInformationKey', 4, 'Key'),
  uses('NtNotifyChangeKey', 10, 'Key', [0, 1]),
  uses('NtNotifyChangeMultipleKeys', 12, 'Key', [0, 3]),
  uses('NtSaveKey', 2, 'Key', [0, 1]),
  uses('NtSaveKeyEx', 3, 'Key', [0, 1]),
  uses('NtSaveMergedKeys', 3, 'Key', [0, 1, 2]),
  uses('NtRestoreKey', 3, 'Key', [0, 1]),
  uses('NtReplaceKey', 3, 'Key', [1]),
  uses('NtUnloadKeyEx', 2, 'Event', [1]),
  uses('NtLockRegistryKey', 1, 'Key'),
  uses('NtCompressKey', 1, 'Key'),
  uses('NtCommitRegistryTransaction', 2, 'RegistryTransaction'),
  uses('NtRollbackRegistryTransaction', 2, 'RegistryTransaction'),
  uses('NtQueryInformationThread', 5, 'Thread'),
  uses('NtSetInformationThread', 4, 'Thread'),
  uses('NtGetContextThread', 2, 'Thread'),
  uses('NtSetContextThread', 2, 'Thread'),
  uses('NtSuspendThread', 2, 'Thread'),
  uses('NtResumeThread', 2, 'Thread'),
  uses('NtAlertThread', 1, 'Thread'),
  uses('NtAlertResumeThread', 2, 'Thread'),
  uses('NtQueueApcThread', 5, 'Thread'),
  uses('NtQueueApcThreadEx', 6, 'Thread'),
  uses('NtQueueApcThreadEx2', 7, 'Thread'),
  uses('NtImpersonateThread', 3, 'Thread', [0, 1]),
  uses('NtImpersonateAnonymousToken', 1, 'Thread'),
  uses('NtChangeThreadState', 6, 'ThreadStateChange', [0, 1]),
  uses('NtTerminateThread', 2, 'Thread'),
  opensWithin('NtQueryInformationProcess', 5, 'Process', {
    argument: 2,
    selector: 1,
    handles: [{ when: ProcessDebugObjectHandle, offset: 0, type: 'DebugObject' }],
  }),
  uses('NtSetInformationProcess', 4, 'Process'),
  uses('NtSuspendProcess', 1, 'Process'),
  uses('NtResumeProcess', 1, 'Process'),
  uses('NtChangeProcessState', 6, 'ProcessStateChange', [0, 1]),
  uses('NtDebugActiveProcess', 2, 'Process', [0, 1]),
  uses('NtRemoveProcessDebug', 2, 'Process', [0, 1]),
  uses('NtDebugContinue', 3, 'DebugObject'),
  uses('NtSetInformationDebugObject', 5, 'DebugObject'),
  uses('NtStartProfile', 1, 'Profile'),
  uses('NtStopProfile', 1, 'Profile'),
  uses('NtReadVirtualMemory', 5, 'Process'),
  uses('NtWriteVirtualMemory', 5, 'Process'),
  opensWithin('NtQueryInformationToken', 5, 'Token', {
    argument: 2,
    selector: 1,
    handles: [{ when: TokenLinkedToken, offset: 0, type: 'Token' }],
  }),
  uses('NtSetInformationToken', 4, 'Token'),
  uses('NtAdjustPrivilegesToken', 6, 'Token'),
  uses('NtAdjustGroupsToken', 6, 'Token'),
  uses('NtPrivilegeCheck', 3, 'Token'),
  uses('NtAccessCheck', 8, 'Token', [1]),
  uses('NtCompareTokens', 3, 'Token', [0, 1]),
  uses('NtQueryInformationJobObject', 5, 'Job'),
  uses('NtSetInformationJobObject', 4, 'Job'),
  uses('NtAssignProcessToJobObject', 2, 'Job', [0, 1]),
  uses('NtTerminateJobObject', 2, 'Job'),
  uses('NtIsProcessInJob', 2, 'Process', [0, 1]),
  uses('NtQueryDirectoryObject', 7, 'Directory'),
  uses('NtDeletePrivateNamespace', 1, 'Directory'),
  uses('NtQuerySymbolicLinkObject', 3, 'SymbolicLink'),
  uses('NtQueryObject', 5, 'any'),
  row('NtSetInformationObject', 4, 'sets-object', { uses: [0], worksOn: 'any' }),
  uses('NtCompareObjects', 2, 'any', [0, 1]),
  uses('NtMakeTemporaryObject', 1, 'any'),
  uses('NtMakePermanentObject', 1, 'any'),
  uses('NtQuerySecurityObject', 5, 'any'),
  uses('NtSetSecurityObject', 3, 'any'),
  uses('NtListenPort', 2, 'ALPC Port'),
  uses('NtCompleteConnectPort', 1, 'ALPC Port'),
  uses('NtRequestWaitReplyPort', 3, 'ALPC Port'),
  uses('NtReplyWaitReceivePort', 4, 'ALPC Port'),
  uses('NtAlpcSendWaitReceivePort', 8, 'ALPC Port'),
  uses('NtAlpcDisconnectPort', 2, 'ALPC Port'),
  uses('NtCommitTransaction', 2, 'TmTx'),
  uses('NtRollbackTransaction', 2, 'TmTx'),
];

export const numberedRows: readonly NumberedRow[] = hookTable.map((row, index) => ({ row, rowNumber: index + 1 }));
