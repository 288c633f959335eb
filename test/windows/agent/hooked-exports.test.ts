import { expect, test } from 'vitest';

import { hookTable } from '../../../src/agent/tables/hook-table.ts';
import { GetModuleHandleW } from '../../../src/ffi/kernel32.ts';
import { viewMemory } from '../../../src/ffi/library.ts';

const names = (text: string) => text.trim().split(/\s+/);

/**
 * Calls with handles that have no row, by the reason. A misuse of their handles goes unseen.
 *
 * Source of these lists: phnt (https://github.com/winsiderss/phnt) as of 2025-03-15, and Wine 8.
 */
const leftOut: Readonly<Record<string, readonly string[]>> = {
  'it may answer with a handle, which goes unseen: a trace session that programs rarely open so': names(`
    NtTraceControl
  `),
  'its HANDLE is the id of a thread, or an array of such ids': names(`
    NtAlertMultipleThreadByThreadId NtAlertThreadByThreadId NtAlertThreadByThreadIdEx NtSetEventEx
  `),
  'nearly every call names the current process by its pseudo handle, and programs make many': names(`
    NtAllocateUserPhysicalPages NtAllocateUserPhysicalPagesEx NtAllocateVirtualMemory NtAllocateVirtualMemoryEx
    NtCreateEnclave NtFlushInstructionCache NtFlushVirtualMemory NtFreeUserPhysicalPages NtFreeVirtualMemory
    NtGetWriteWatch NtInitializeEnclave NtLoadEnclaveData NtLockVirtualMemory NtProtectVirtualMemory
    NtPssCaptureVaSpaceBulk NtQueryVirtualMemory NtReadVirtualMemoryEx NtResetWriteWatch NtSetInformationVirtualMemory
    NtUnlockVirtualMemory
  `),
  'only ntdll makes it, for its thread pool and its locks': names(`
    NtQueryInformationWorkerFactory NtReleaseKeyedEvent NtReleaseWorkerFactoryWorker NtSetHighEventPair
    NtSetHighWaitLowEventPair NtSetInformationWorkerFactory NtSetLowEventPair NtSetLowWaitHighEventPair
    NtShutdownWorkerFactory NtWaitForKeyedEvent NtWaitForWorkViaWorkerFactory NtWaitHighEventPair NtWaitLowEventPair
    NtWorkerFactoryWorkerReady
  `),
  'only rpcrt4 and ntdll work on ports; the calls by which ports come and go have rows': names(`
    NtAlpcCancelMessage NtAlpcCreatePortSection NtAlpcCreateResourceReserve NtAlpcCreateSectionView
    NtAlpcCreateSecurityContext NtAlpcDeletePortSection NtAlpcDeleteResourceReserve NtAlpcDeleteSectionView
    NtAlpcDeleteSecurityContext NtAlpcImpersonateClientContainerOfPort NtAlpcImpersonateClientOfPort
    NtAlpcQueryInformation NtAlpcQueryInformationMessage NtAlpcRevokeSecurityContext NtAlpcSetInformation
    NtImpersonateClientOfPort NtQueryInformationPort NtReadRequestData NtRegisterThreadTerminatePort NtReplyPort
    NtReplyWaitReceivePortEx NtReplyWaitReplyPort NtRequestPort NtSetDefaultHardErrorPort NtWriteRequestData
  `),
  'transactions are rare; the calls by which they come and go have rows': names(`
    NtCommitComplete NtCommitEnlistment NtEnumerateTransactionObject NtGetNotificationResourceManager
    NtPrePrepareComplete NtPrePrepareEnlistment NtPrepareComplete NtPrepareEnlistment NtPropagationComplete
    NtPropagationFailed NtQueryInformationEnlistment NtQueryInformationResourceManager NtQueryInformationTransaction
    NtQueryInformationTransactionManager NtReadOnlyEnlistment NtRecoverEnlistment NtRecoverResourceManager
    NtRecoverTransactionManager NtRegisterProtocolAddressInformation NtRollbackComplete NtRollbackEnlistment
    NtRollforwardTransactionManager NtSetInformationEnlistment NtSetInformationResourceManager
    NtSetInformationTransaction NtSetInformationTransactionManager NtSinglePhaseReject
  `),
  'its HANDLEs are in an array': names(`
    NtCompactKeys
  `),
  'only services make it, for the audit log': names(`
    NtAccessCheckByTypeResultListAndAuditAlarmByHandle NtOpenObjectAuditAlarm NtPrivilegeObjectAuditAlarm
    NtPrivilegedServiceAuditAlarm
  `),
  'programs rarely make it': names(`
    NtAccessCheckByType NtAccessCheckByTypeResultList NtAdjustTokenClaimsAndDeviceGroups NtGetCachedSigningLevel
    NtGetPlugPlayEvent NtManagePartition NtNotifyChangeSession NtQuerySecurityAttributesToken NtSetCachedSigningLevel
    NtSetCachedSigningLevel2 NtSetInformationCpuPartition NtSetInformationSymbolicLink
    NtSetWnfProcessNotificationEvent NtTraceEvent
  `),
};

/** Calls that neither take handles nor store any. */
const withoutHandles = names(`
  NtAccessCheckAndAuditAlarm NtAccessCheckByTypeAndAuditAlarm NtAccessCheckByTypeResultListAndAuditAlarm
  NtAcquireCMFViewOwnership NtAddAtom NtAddAtomEx NtAddBootEntry NtAddDriverEntry NtAllocateLocallyUniqueId
  NtAllocateUuids NtAreMappedFilesTheSame NtCallEnclave NtCallbackReturn NtCloseObjectAuditAlarm
  NtCompareSigningLevels NtContinue NtContinueEx NtConvertBetweenAuxiliaryCounterAndPerformanceCounter NtCreateJobSet
  NtCreatePagingFile NtCreateWnfStateName NtDelayExecution NtDeleteAtom NtDeleteBootEntry NtDeleteDriverEntry
  NtDeleteFile NtDeleteObjectAuditAlarm NtDeleteWnfStateData NtDeleteWnfStateName NtDirectGraphicsCall
  NtDisableLastKnownGood NtDisplayString NtDrawText NtEnableLastKnownGood NtEnumerateBootEntries
  NtEnumerateDriverEntries NtEnumerateSystemEnvironmentValuesEx NtFilterBootOption NtFindAtom NtFlushInstallUILanguage
  NtFlushProcessWriteBuffers NtFlushWriteBuffer NtFreezeRegistry NtFreezeTransactions
  NtGetCompleteWnfStateSubscription NtGetCurrentProcessorNumber NtGetCurrentProcessorNumberEx NtGetMUIRegistryInfo
  NtGetNlsSectionPtr NtGetTickCount NtGetTickCount64 NtInitializeNlsFiles NtInitializeRegistry NtInitiatePowerAction
  NtIsSystemResumeAutomatic NtIsUILanguageComitted NtLoadDriver NtLoadKey NtLoadKey2 NtLockProductActivationKeys
  NtManageHotPatch NtMapCMFModule NtMapUserPhysicalPages NtMapUserPhysicalPagesScatter NtModifyBootEntry
  NtModifyDriverEntry NtPlugPlayControl NtPowerInformation NtQueryAttributesFile NtQueryAuxiliaryCounterFrequency
  NtQueryBootEntryOrder NtQueryBootOptions NtQueryDebugFilterState NtQueryDefaultLocale NtQueryDefaultUILanguage
  NtQueryDriverEntryOrder NtQueryFullAttributesFile NtQueryInformationAtom NtQueryInformationByName
  NtQueryInstallUILanguage NtQueryIntervalProfile NtQueryIoRingCapabilities NtQueryLicenseValue NtQueryOpenSubKeys
  NtQueryOpenSubKeysEx NtQueryPerformanceCounter NtQueryPortInformationProcess NtQuerySecurityPolicy
  NtQuerySystemEnvironmentValue NtQuerySystemEnvironmentValueEx NtQuerySystemInformation NtQuerySystemInformationEx
  NtQuerySystemTime NtQueryTimerResolution NtQueryWnfStateData NtQueryWnfStateNameInformation NtRaiseHardError
  NtReleaseCMFViewOwnership NtRenameTransactionManager NtReplacePartitionUnit NtRequestWakeupLatency
  NtRevertContainerImpersonation NtSerializeBoot NtSetBootEntryOrder NtSetBootOptions NtSetDebugFilterState
  NtSetDefaultLocale NtSetDefaultUILanguage NtSetDriverEntryOrder NtSetIntervalProfile NtSetLdtEntries
  NtSetSystemEnvironmentValue NtSetSystemEnvironmentValueEx NtSetSystemInformation NtSetSystemPowerState
  NtSetSystemTime NtSetThreadExecutionState NtSetTimerResolution NtSetUuidSeed NtShutdownSystem
  NtSubscribeWnfStateChange NtSystemDebugControl NtTerminateEnclave NtTestAlert NtThawRegistry NtThawTransactions
  NtTranslateFilePath NtUmsThreadYield NtUnloadDriver NtUnloadKey NtUnloadKey2 NtUnsubscribeWnfStateChange
  NtUpdateWnfStateData NtVdmControl NtWaitForAlertByThreadId NtYieldExecution
`);

/** The names that the ntdll of this system exports. */
function exportedNames(): readonly string[] {
  const base = GetModuleHandleW('ntdll.dll');
  const view = (rva: number, sizeBytes: number) => new DataView(viewMemory(base + BigInt(rva), sizeBytes));
  const headers = view(view(0, 0x40).getUint32(0x3c, true), 0x108); // LONG e_lfanew: IMAGE_NT_HEADERS64
  const directory = view(headers.getUint32(0x88, true), 40); // DataDirectory[0]: IMAGE_EXPORT_DIRECTORY
  const count = directory.getUint32(24, true); // DWORD NumberOfNames
  const addresses = view(directory.getUint32(32, true), count * 4); // DWORD AddressOfNames
  return Array.from({ length: count }, (_, index) => {
    const text = Buffer.from(viewMemory(base + BigInt(addresses.getUint32(index * 4, true)), 128));
    return text.toString('latin1', 0, text.indexOf(0));
  });
}

test('every system call of this ntdll has a row, or takes no handle, or is left out for a reason', () => {
  const exported = exportedNames().filter((name) => /^Nt[A-Z]/.test(name) && !name.startsWith('NtWow64'));
  expect(exported.length).toBeGreaterThan(200);
  expect(exported).toContain('NtClose');
  const known = new Set([...hookTable.map(({ name }) => name), ...withoutHandles, ...Object.values(leftOut).flat()]);
  expect(exported.filter((name) => !known.has(name))).toEqual([]);
});

test('no call that has a row is left out', () => {
  const rows = new Set(hookTable.map(({ name }) => name));
  const others = [...withoutHandles, ...Object.values(leftOut).flat()];
  expect(others.filter((name) => rows.has(name))).toEqual([]);
  expect(new Set(others).size, 'no call stands in two lists').toBe(others.length);
});
