/**
 * Types of objects, named as the kernel names them where it has such a type. The opening call tells which one it opens.
 * A slot stores the index; index 0 stands for "not known".
 */
export const objectTypes = [
  'Unknown',
  'Event',
  'File',
  'Socket',
  'Section',
  'Key',
  'Mutant',
  'Semaphore',
  'Timer',
  'Process',
  'Thread',
  'Token',
  'Job',
  'Directory',
  'SymbolicLink',
  'IoCompletion',
  'ALPC Port',
  'TmTx',
  'TmTm',
  'TmRm',
  'TmEn',
  'KeyedEvent',
  'EventPair',
  'DebugObject',
  'Profile',
  'Partition',
  'TpWorkerFactory',
  'WaitCompletionPacket',
  'IRTimer',
  'Session',
  'RegistryTransaction',
  'IoRing',
  'ProcessStateChange',
  'ThreadStateChange',
  'UserApcReserve',
  'CpuPartition',
  'CrossVmEvent',
  'CrossVmMutant',
  'ActivityReference',
  // Libraries hand these out in place of a handle: function-table.ts.
  'Descriptor',
  'FILE',
  'Search',
  'PseudoConsole',
  'ChangeNotification',
] as const;

export type ObjectType = (typeof objectTypes)[number];

/** The number that stands for a type in a slot. */
export function typeIndex(type: ObjectType): number {
  return objectTypes.indexOf(type);
}
