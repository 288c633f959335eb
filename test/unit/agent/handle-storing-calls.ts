/**
 * The system calls that store handles through pointers in their arguments: `index of` (or several) `of` the number of
 * arguments.
 *
 * Source: the prototypes of phnt (https://github.com/winsiderss/phnt) as of 2025-03-15, all of them that have a PHANDLE
 * among their arguments.
 */
const calls = `
  0 of 3: NtAcquireProcessActivityReference NtAllocateReserveObject NtAlpcCreatePort NtCreateCpuPartition
    NtCreateDirectoryObject NtCreateEventPair NtCreateIRTimer NtCreateJobObject NtCreateWaitCompletionPacket
    NtOpenCpuPartition NtOpenDirectoryObject NtOpenEvent NtOpenEventPair NtOpenIoCompletion NtOpenJobObject
    NtOpenKey NtOpenKeyedEvent NtOpenMutant NtOpenPartition NtOpenRegistryTransaction NtOpenSection NtOpenSemaphore
    NtOpenSession NtOpenSymbolicLinkObject NtOpenTimer
  0 of 4: NtAlertMultipleThreadByThreadId NtCreateDebugObject NtCreateIoCompletion NtCreateKeyedEvent NtCreateMutant
    NtCreatePrivateNamespace NtCreateRegistryTransaction NtCreateSymbolicLinkObject NtCreateTimer NtOpenKeyEx
    NtOpenKeyTransacted NtOpenPrivateNamespace NtOpenProcess NtOpenThread
  0 of 5: NtCreateDirectoryObjectEx NtCreateEvent NtCreateIoRing NtCreatePort NtCreateProcessStateChange
    NtCreateSemaphore NtCreateThreadStateChange NtCreateTimer2 NtCreateWaitablePort NtOpenEnlistment
    NtOpenKeyTransactedEx NtOpenResourceManager NtOpenTransaction
  0 of 6: NtAcceptConnectPort NtAlpcOpenSenderProcess NtAlpcOpenSenderThread NtCreateCrossVmEvent
    NtCreateCrossVmMutant NtCreateTransactionManager NtOpenFile NtOpenTransactionManager
  0 of 7: NtCreateKey NtCreateResourceManager NtCreateSection
  0 of 8: NtConnectPort NtCreateEnlistment NtCreateKeyTransacted NtCreateMailslotFile NtCreateProcess NtCreateThread
  0 of 9: NtAlpcAcceptConnectPort NtCreateLowBoxToken NtCreateProcessEx NtCreateProfile NtCreateSectionEx
    NtSecureConnectPort
  0 of 10: NtCreateProfileEx NtCreateTransaction NtCreateWorkerFactory
  0 of 11: NtAlpcConnectPort NtAlpcConnectPortEx NtCreateFile NtCreateThreadEx
  0 of 13: NtCreateToken
  0 of 14: NtCreateNamedPipeFile
  0 of 17: NtCreateTokenEx
  0,1 of 11: NtCreateUserProcess
  1 of 5: NtCreatePartition
  2 of 3: NtOpenProcessToken
  2 of 5: NtSetCachedSigningLevel
  2 of 6: NtSetCachedSigningLevel2
  3 of 4: NtOpenProcessTokenEx NtOpenThreadToken
  3 of 7: NtDuplicateObject
  4 of 5: NtGetNextProcess NtOpenThreadTokenEx
  5 of 6: NtDuplicateToken NtFilterToken NtGetNextThread
  6 of 8: NtLoadKey3 NtLoadKeyEx
  13 of 14: NtFilterTokenEx
`;

/** A call that stores handles; arguments are indexes. */
interface HandleStoringCall {
  readonly name: string;
  readonly argumentCount: number;
  readonly stored: readonly number[];
}

export const handleStoringCalls: readonly HandleStoringCall[] = [
  ...calls.matchAll(/([\d,]+) of (\d+):((?:\s+Nt\w+)+)/g),
].flatMap(([, stored = '', argumentCount, names = '']) =>
  names
    .trim()
    .split(/\s+/)
    .map((name) => ({ name, argumentCount: Number(argumentCount), stored: stored.split(',').map(Number) })),
);
