import type { Wrapper } from '../../model.ts';
import { recordedCalls } from '../tables/function-table.ts';
import { type ObjectType, objectTypes } from '../tables/object-types.ts';
import {
  DESCRIPTOR_KEY,
  image,
  IMAGE_SIZE_BYTES,
  MAY_BE_INHERITABLE,
  misuse,
  MISUSE_CLOSE,
  MISUSE_CLOSED_AS_HANDLE,
  MISUSE_INHERITED,
  MISUSE_USE,
  MISUSE_VALUE_COUNT,
  slot,
  STATE_FLAG_BITS,
  VICTIM,
} from './layout.ts';
import type { LedgerMemory } from './memory.ts';

/** One recorded call. Its stack is an id, which `Ledger.stack` resolves. */
export interface LedgerCall {
  /** Name of the call; `undefined` for a handle that was open before recording began. */
  readonly call: string | undefined;
  readonly threadId: number;
  /** FILETIME: 100 ns since 1601. */
  readonly time: bigint;
  /** 0 when no stack was kept. */
  readonly stackId: number;
}

/** The life of a handle value: its last opening and, if it belongs to the same generation, its last close. */
export interface LedgerLife {
  readonly isOpen: boolean;
  readonly generation: bigint;
  readonly objectType: ObjectType;
  readonly opened: LedgerCall | undefined;
  readonly closed: LedgerCall | undefined;
}

/** One call that was refused, or noted for another reason, with the number of times it happened. */
export interface LedgerMisuse {
  readonly kind: 'close' | 'use' | 'closed-as-handle' | 'inherited';
  readonly status: number;
  readonly count: number;
  readonly values: readonly bigint[];
  readonly offending: LedgerCall;
  readonly life: LedgerLife;
  /** The descriptor or FILE that stood for the handle. */
  readonly wrapper?: Wrapper;
  /** For a quarantined value: the first handle that was opened after its close; stack 0 when that was too long ago. */
  readonly victim?: { readonly objectType: ObjectType; readonly stackId: number };
}

/** An image that was mapped into the target at some time. */
export interface LedgerImage {
  readonly base: bigint;
  readonly sizeBytes: number;
  /** As the kernel spells it: `\\Device\\HarddiskVolume3\\…`, `\\??\\C:\\…`. It comes from the target. */
  readonly path: string;
}

/** The life in a slot, or at the beginning of a runtime object; undefined when it was never seen. */
export function readLife(memory: LedgerMemory, offset: number): LedgerLife | undefined {
  const state = BigInt.asUintN(64 - STATE_FLAG_BITS, memory.getBigUint64(offset + slot.state));
  if (state === 0n) return undefined;
  const generation = state >> 1n;
  const isOpen = (state & 1n) === 1n;
  const low = Number(BigInt.asUintN(32, generation));
  const openedIsCurrent = memory.getUint32(offset + slot.openedGeneration) === low;
  const closedIsCurrent = !isOpen && memory.getUint32(offset + slot.closedGeneration) === low;
  const opened: LedgerCall = {
    call: callName(memory.getUint16(offset + slot.openedCall) & ~MAY_BE_INHERITABLE),
    threadId: memory.getUint32(offset + slot.openedThread),
    time: memory.getBigUint64(offset + slot.openedTime),
    stackId: memory.getUint32(offset + slot.openedStack),
  };
  const closed: LedgerCall = {
    call: callName(memory.getUint16(offset + slot.closedCall)),
    threadId: memory.getUint32(offset + slot.closedThread),
    time: memory.getBigUint64(offset + slot.closedTime),
    stackId: memory.getUint32(offset + slot.closedStack),
  };
  return {
    isOpen,
    generation,
    objectType: (openedIsCurrent && objectTypes[memory.getUint16(offset + slot.objectType)]) || 'Unknown',
    opened: openedIsCurrent ? opened : undefined,
    closed: closedIsCurrent ? closed : undefined,
  };
}

/** A misuse; undefined while its record is incomplete, and when it never counted. */
export function readMisuse(memory: LedgerMemory, offset: number): LedgerMisuse | undefined {
  if (memory.getUint32(offset + misuse.ready) !== 1) return undefined;
  const valueCount = Math.min(memory.getUint32(offset + misuse.valueCount), MISUSE_VALUE_COUNT);
  const values = Array.from({ length: valueCount }, (_, at) => memory.getBigInt64(offset + misuse.values + at * 8));
  // A call that has not come back may have been the end of the process.
  const count = memory.getUint32(offset + misuse.count) + memory.getUint32(offset + misuse.pending);
  if (count === 0) return undefined;
  const runtimeObjectKey = memory.getBigUint64(offset + misuse.runtimeObjectKey);
  return {
    kind: misuseKinds.get(memory.getUint16(offset + misuse.kind)) ?? 'use',
    status: memory.getUint32(offset + misuse.status),
    count,
    values: [...new Set(values)],
    offending: {
      call: callName(memory.getUint16(offset + misuse.offendingCall)),
      threadId: memory.getUint32(offset + misuse.offendingThread),
      time: memory.getBigUint64(offset + misuse.offendingTime),
      stackId: memory.getUint32(offset + misuse.offendingStack),
    },
    life: readLife(memory, offset + misuse.life) ?? NEVER_SEEN,
    ...(runtimeObjectKey === 0n ? {} : { wrapper: nameRuntimeObject(runtimeObjectKey) }),
    ...readVictim(memory, offset),
  };
}

function readVictim(memory: LedgerMemory, offset: number): Pick<LedgerMisuse, 'victim'> {
  const victim = memory.getUint32(offset + misuse.victim);
  if ((victim & VICTIM) === 0) return {};
  const objectType = objectTypes[victim & 0xffff] ?? 'Unknown';
  return { victim: { objectType, stackId: memory.getUint32(offset + misuse.victimStack) } };
}

/** An image; undefined while its record is incomplete. */
export function readImage(memory: LedgerMemory, offset: number): LedgerImage | undefined {
  const base = memory.getBigUint64(offset + image.base);
  const sizeBytes = memory.getUint32(offset + image.sizeBytes);
  if (base === 0n || sizeBytes === 0) return undefined;
  const lengthBytes = Math.min(memory.getUint16(offset + image.path), IMAGE_SIZE_BYTES - image.pathText) & ~1;
  const text = new Uint16Array(lengthBytes / 2);
  for (let at = 0; at < text.length; at++) text[at] = memory.getUint16(offset + image.pathText + at * 2);
  return { base, sizeBytes, path: String.fromCharCode(...text) };
}

/** Names a descriptor or a FILE as the program knows it. A search never gets here: its handle is not known. */
export function nameRuntimeObject(key: bigint): Wrapper {
  return (key & DESCRIPTOR_KEY) === 0n
    ? { type: 'FILE', value: key }
    : { type: 'Descriptor', value: BigInt.asIntN(32, key) };
}

const NEVER_SEEN: LedgerLife = {
  isOpen: false,
  generation: 0n,
  objectType: 'Unknown',
  opened: undefined,
  closed: undefined,
};

const misuseKinds: ReadonlyMap<number, LedgerMisuse['kind']> = new Map([
  [MISUSE_CLOSE, 'close'],
  [MISUSE_USE, 'use'],
  [MISUSE_CLOSED_AS_HANDLE, 'closed-as-handle'],
  [MISUSE_INHERITED, 'inherited'],
]);

function callName(rowNumber: number): string | undefined {
  return recordedCalls[rowNumber - 1]?.name;
}
