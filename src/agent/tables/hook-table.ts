import type { HookRole, HookRow, NumberedRow, OpenedHandle } from './hook-row.ts';
import type { ObjectType } from './object-types.ts';

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

function row(
  name: string,
  argumentCount: number,
  role: HookRole,
  uses: number[] = [],
  opens: OpenedHandle[] = [],
): HookRow {
  return { name, argumentCount, role, uses, opens, ...(takesObjectAttributes.has(name) ? { attributes: 2 } : {}) };
}

/** A call whose first argument receives the handle. */
function opens(name: string, argumentCount: number, type: ObjectType): HookRow {
  return row(name, argumentCount, 'opens', [], [{ argument: 0, type }]);
}

/** A call that stores its handle through another argument, or that takes a handle besides. */
function opensThrough(
  argument: number,
  name: string,
  argumentCount: number,
  type: ObjectType,
  uses: number[] = [0],
): HookRow {
  return row(name, argumentCount, 'opens', uses, [{ argument, type }]);
}

/** A call whose first argument is the handle that it works on. */
function uses(name: string, argumentCount: number, handles: number[] = [0]): HookRow {
  return row(name, argumentCount, 'uses', handles);
}

/** The rows; a row's number in the ledger is its index here plus 1, and 0 stands for "before recording began". */
export const hookTable: readonly HookRow[] = [
  row('NtClose', 1, 'closes'),
  row('NtDuplicateObject', 7, 'duplicates'),
  row('NtTerminateProcess', 2, 'exits', [0]),
  row('NtRaiseException', 3, 'raises'),
  row('NtUnmapViewOfSection', 2, 'unmaps'),
  row('NtUnmapViewOfSectionEx', 3, 'unmaps'),

  // Files, pipes, mailslots, sockets
  { ...row('NtCreateFile', 11, 'opens-file', [], [{ argument: 0, type: 'File' }]), extendedAttributes: 9 },
  row('NtOpenFile', 6, 'opens-file', [], [{ argument: 0, type: 'File' }]),
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
  row(
    'NtCreateUserProcess',
    11,
    'creates-process',
    [],
    [
      { argument: 0, type: 'Process' },
      { argument: 1, type: 'Thread' },
    ],
  ),
  opens('NtCreateProcess', 8, 'Process'),
  opens('NtCreateProcessEx', 9, 'Process'),
  opens('NtOpenProcess', 4, 'Process'),
  opensThrough(4, 'NtGetNextProcess', 5, 'Process'),
  opensThrough(0, 'NtCreateThread', 8, 'Thread', [3]),
  opensThrough(0, 'NtCreateThreadEx', 11, 'Thread', [3]),
  opens('NtOpenThread', 4, 'Thread'),
  opensThrough(5, 'NtGetNextThread', 6, 'Thread'),
  opens('NtCreateToken', 13, 'Token'),
  opens('NtCreateTokenEx', 17, 'Token'),
  opensThrough(0, 'NtCreateLowBoxToken', 9, 'Token', [1]),
  opensThrough(2, 'NtOpenProcessToken', 3, 'Token'),
  opensThrough(3, 'NtOpenProcessTokenEx', 4, 'Token'),
  opensThrough(3, 'NtOpenThreadToken', 4, 'Token'),
  opensThrough(4, 'NtOpenThreadTokenEx', 5, 'Token'),
  opensThrough(5, 'NtDuplicateToken', 6, 'Token'),
  opensThrough(5, 'NtFilterToken', 6, 'Token'),
  opensThrough(13, 'NtFilterTokenEx', 14, 'Token'),
  opens('NtCreateJobObject', 3, 'Job'),
  opens('NtOpenJobObject', 3, 'Job'),
  opens('NtOpenSession', 3, 'Session'),
  opensThrough(1, 'NtCreatePartition', 5, 'Partition'),
  opens('NtOpenPartition', 3, 'Partition'),
  opens('NtCreateCpuPartition', 3, 'CpuPartition'),
  opens('NtOpenCpuPartition', 3, 'CpuPartition'),
  opens('NtCreateDebugObject', 4, 'DebugObject'),
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
  opensThrough(0, 'NtAlpcAcceptConnectPort', 9, 'ALPC Port', [1]),
  opensThrough(0, 'NtAlpcOpenSenderProcess', 6, 'Process', [1]),
  opensThrough(0, 'NtAlpcOpenSenderThread', 6, 'Thread', [1]),

  // Transactions
  opens('NtCreateTransaction', 10, 'TmTx'),
  opens('NtOpenTransaction', 5, 'TmTx'),
  opens('NtCreateTransactionManager', 6, 'TmTm'),
  opens('NtOpenTransactionManager', 6, 'TmTm'),
  opensThrough(0, 'NtCreateResourceManager', 7, 'TmRm', [2]),
  opensThrough(0, 'NtOpenResourceManager', 5, 'TmRm', [2]),
  opensThrough(0, 'NtCreateEnlistment', 8, 'TmEn', [2, 3]),
  opensThrough(0, 'NtOpenEnlistment', 5, 'TmEn', [2]),

  // Uses
  row('NtWaitForSingleObject', 3, 'waits', [0]),
  row('NtWaitForMultipleObjects', 5, 'waits-many'),
  row('NtWaitForMultipleObjects32', 5, 'waits-many'),
  uses('NtSignalAndWaitForSingleObject', 4, [0, 1]),
  row('NtDeviceIoControlFile', 10, 'controls-device', [0, 1]),
  uses('NtFsControlFile', 10, [0, 1]),
  uses('NtReadFile', 9, [0, 1]),
  uses('NtReadFileScatter', 9, [0, 1]),
  uses('NtWriteFile', 9, [0, 1]),
  uses('NtWriteFileGather', 9, [0, 1]),
  uses('NtFlushBuffersFile', 2),
  uses('NtFlushBuffersFileEx', 5),
  uses('NtLockFile', 10, [0, 1]),
  uses('NtUnlockFile', 5),
  uses('NtQueryInformationFile', 5),
  uses('NtSetInformationFile', 5),
  uses('NtQueryDirectoryFile', 11, [0, 1]),
  uses('NtQueryDirectoryFileEx', 10, [0, 1]),
  uses('NtNotifyChangeDirectoryFile', 9, [0, 1]),
  uses('NtNotifyChangeDirectoryFileEx', 10, [0, 1]),
  uses('NtQueryVolumeInformationFile', 5),
  uses('NtSetVolumeInformationFile', 5),
  uses('NtQueryEaFile', 9),
  uses('NtSetEaFile', 4),
  uses('NtCancelIoFile', 2),
  uses('NtCancelIoFileEx', 3),
  uses('NtCancelSynchronousIoFile', 3),
  uses('NtSetEvent', 2),
  uses('NtResetEvent', 2),
  uses('NtClearEvent', 1),
  uses('NtPulseEvent', 2),
  uses('NtQueryEvent', 5),
  uses('NtReleaseMutant', 2),
  uses('NtQueryMutant', 5),
  uses('NtReleaseSemaphore', 3),
  uses('NtQuerySemaphore', 5),
  uses('NtSetTimer', 7),
  uses('NtSetTimerEx', 4),
  uses('NtCancelTimer', 2),
  uses('NtQueryTimer', 5),
  uses('NtSetIoCompletion', 5),
  uses('NtSetIoCompletionEx', 6),
  uses('NtRemoveIoCompletion', 5),
  uses('NtRemoveIoCompletionEx', 6),
  uses('NtQueryIoCompletion', 5),
  uses('NtAssociateWaitCompletionPacket', 8, [0, 1, 2]),
  uses('NtCancelWaitCompletionPacket', 2),
  row('NtMapViewOfSection', 10, 'maps', [0, 1]),
  row('NtMapViewOfSectionEx', 9, 'maps', [0, 1]),
  uses('NtExtendSection', 2),
  uses('NtQuerySection', 5),
  uses('NtQueryKey', 5),
  uses('NtQueryValueKey', 6),
  uses('NtQueryMultipleValueKey', 6),
  uses('NtSetValueKey', 6),
  uses('NtDeleteKey', 1),
  uses('NtDeleteValueKey', 2),
  uses('NtEnumerateKey', 6),
  uses('NtEnumerateValueKey', 6),
  uses('NtFlushKey', 1),
  uses('NtRenameKey', 2),
  uses('NtSetInformationKey', 4),
  uses('NtNotifyChangeKey', 10, [0, 1]),
  uses('NtQueryInformationThread', 5),
  uses('NtSetInformationThread', 4),
  uses('NtGetContextThread', 2),
  uses('NtSetContextThread', 2),
  uses('NtSuspendThread', 2),
  uses('NtResumeThread', 2),
  uses('NtAlertThread', 1),
  uses('NtAlertResumeThread', 2),
  uses('NtQueueApcThread', 5),
  uses('NtQueueApcThreadEx', 6),
  uses('NtTerminateThread', 2),
  uses('NtQueryInformationProcess', 5),
  uses('NtSetInformationProcess', 4),
  uses('NtSuspendProcess', 1),
  uses('NtResumeProcess', 1),
  uses('NtReadVirtualMemory', 5),
  uses('NtWriteVirtualMemory', 5),
  uses('NtQueryInformationToken', 5),
  uses('NtSetInformationToken', 4),
  uses('NtAdjustPrivilegesToken', 6),
  uses('NtAdjustGroupsToken', 6),
  uses('NtPrivilegeCheck', 3),
  uses('NtAccessCheck', 8, [1]),
  uses('NtQueryInformationJobObject', 5),
  uses('NtSetInformationJobObject', 4),
  uses('NtAssignProcessToJobObject', 2, [0, 1]),
  uses('NtTerminateJobObject', 2),
  uses('NtIsProcessInJob', 2, [0, 1]),
  uses('NtQueryDirectoryObject', 7),
  uses('NtQuerySymbolicLinkObject', 3),
  uses('NtQueryObject', 5),
  row('NtSetInformationObject', 4, 'sets-object', [0]),
  uses('NtCompareObjects', 2, [0, 1]),
  uses('NtMakeTemporaryObject', 1),
  uses('NtMakePermanentObject', 1),
  uses('NtQuerySecurityObject', 5),
  uses('NtSetSecurityObject', 3),
  uses('NtListenPort', 2),
  uses('NtCompleteConnectPort', 1),
  uses('NtRequestWaitReplyPort', 3),
  uses('NtReplyWaitReceivePort', 4),
  uses('NtAlpcSendWaitReceivePort', 8),
  uses('NtAlpcDisconnectPort', 2),
  uses('NtCommitTransaction', 2),
  uses('NtRollbackTransaction', 2),
];

export const numberedRows: readonly NumberedRow[] = hookTable.map((row, index) => ({ row, rowNumber: index + 1 }));
