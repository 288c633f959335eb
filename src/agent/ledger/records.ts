import type {
  LedgerCall,
  LedgerCallElsewhere,
  LedgerExit,
  LedgerImage,
  LedgerInheritance,
  LedgerLife,
  LedgerMisuse,
  LedgerSweep,
} from '../../call-ledger.ts';
import type { Wrapper } from '../../model.ts';
import type { WrongCloserOutcome } from '../../evidence-model.ts';
import { recordedCalls, type RuntimeObjectType, standaloneType } from '../tables/function-table.ts';
import { objectTypes } from '../tables/object-types.ts';
import { earlierLifeOffset } from './earlier-life.ts';
import {
  CLOSED_ELSEWHERE,
  elsewhere,
  ELSEWHERE_COUNT,
  ELSEWHERE_KIND_MASK,
  ELSEWHERE_SIZE_BYTES,
  OPENED_ELSEWHERE,
} from './elsewhere.ts';
import {
  GIVEN_TO_WRONG_CLOSER,
  header,
  type LedgerLayout,
  MAY_BE_INHERITABLE,
  slot,
  STATE_FLAG_BITS,
  VICTIM,
} from './layout.ts';
import { DESCRIPTOR_KEY, NOTIFICATION_KEY } from './runtime-object.ts';
import { image, IMAGE_COUNT, IMAGE_SIZE_BYTES } from './image.ts';
import {
  INHERITED_BY_NAME,
  misuse,
  MISUSE_CLOSE,
  MISUSE_CLOSED_AS_HANDLE,
  MISUSE_COUNT,
  MISUSE_INHERITED,
  MISUSE_SWEPT,
  MISUSE_USE,
  MISUSE_VALUE_COUNT,
  MISUSE_WRONG_CLOSER,
} from './misuse.ts';
import type { LedgerMemory } from './memory.ts';

/** A life that changes so often while it is read was not written by the agent. */
const READ_COUNT_MAX = 100;

/**
 * The life in a slot, or at the beginning of a runtime object; undefined when it was never seen. Where the target goes
 * on with it meanwhile, it is read anew: no call in it is a mixture of two.
 */
export function readLife(memory: LedgerMemory, offset: number): LedgerLife | undefined {
  let state = 0n;
  for (let count = 0; count < READ_COUNT_MAX; count++) {
    state = BigInt.asUintN(64 - STATE_FLAG_BITS, memory.getBigUint64(offset + slot.state));
    if (state === 0n) return undefined;
    const life = readLifeOf(memory, offset, state >> 1n, (state & 1n) === 1n);
    if (memory.loadUint32(offset + slot.state) === Number(BigInt.asUintN(32, state))) return life;
  }
  const [generation, isOpen] = [state >> 1n, (state & 1n) === 1n];
  return { isOpen, generation, objectType: 'Unknown', opened: undefined, closed: undefined };
}

/**
 * The life of one generation, as far as the calls that lie there are its own.
 *
 * The target may write meanwhile. A close writes its generation last, so that is read first. An opening writes its
 * generation first, before anything of the life that it takes the place of, so that is read last.
 */
function readLifeOf(memory: LedgerMemory, offset: number, generation: bigint, isOpen: boolean): LedgerLife {
  const low = Number(BigInt.asUintN(32, generation));
  const hasClosed = !isOpen && memory.loadUint32(offset + slot.closedGeneration) === low;
  const closed: LedgerCall | undefined = hasClosed
    ? {
        call: callName(memory.getUint16(offset + slot.closedCall)),
        threadId: memory.getUint32(offset + slot.closedThread),
        time: memory.getBigUint64(offset + slot.closedTime),
        stackId: memory.getUint32(offset + slot.closedStack),
      }
    : undefined;
  const rowAndFlags = memory.getUint16(offset + slot.openedCall);
  const opened: LedgerCall = {
    call: callName(rowAndFlags & ~(MAY_BE_INHERITABLE | GIVEN_TO_WRONG_CLOSER)),
    threadId: memory.getUint32(offset + slot.openedThread),
    time: memory.getBigUint64(offset + slot.openedTime),
    stackId: memory.getUint32(offset + slot.openedStack),
  };
  const objectType = objectTypes[memory.getUint16(offset + slot.objectType)] ?? 'Unknown';
  if (memory.loadUint32(offset + slot.openedGeneration) !== low)
    return { isOpen, generation, objectType: 'Unknown', opened: undefined, closed };
  const isGiven = (rowAndFlags & GIVEN_TO_WRONG_CLOSER) !== 0;
  return { isOpen, generation, objectType, opened, closed, ...(isGiven ? { givenToWrongCloser: true } : {}) };
}

/** A misuse; undefined while its record is incomplete, when it never counted, and for a record of another kind. */
export function readMisuse(memory: LedgerMemory, offset: number, layout: LedgerLayout): LedgerMisuse | undefined {
  const record = readRecord(memory, offset);
  if (record === undefined || record.kind === 'inherited' || record.kind === 'swept') return undefined;
  const { kind, status, ...rest } = record;
  return {
    kind,
    status,
    ...rest,
    worksOn: typesOf(memory.getUint16(offset + misuse.offendingCall)),
    ...functionOf(memory.getUint16(offset + misuse.offendingCall), kind, rest.life),
    ...readLivesOfMisuse(memory, offset, rest.life.generation, layout),
    ...(kind === 'wrong-closer' ? { outcome: readOutcome(memory, offset) } : {}),
    ...readWrapper(memory, offset),
    ...readVictim(memory, offset),
  };
}

/** The handles that child processes inherited; undefined where the record is another one, or incomplete. */
export function readInheritance(memory: LedgerMemory, offset: number): LedgerInheritance | undefined {
  const record = readRecord(memory, offset);
  if (record?.kind !== 'inherited') return undefined;
  const { count, values, life, offending: started, status } = record;
  return { count, values, life, started, asDescriptor: status === INHERITED_BY_NAME };
}

/** The end that the process made for itself; undefined when it made none. */
export function readExit(memory: LedgerMemory): LedgerExit | undefined {
  const threadId = memory.getUint32(header.exitThread);
  if (threadId === 0) return undefined;
  const handle = memory.getBigUint64(header.exitHandle);
  return {
    threadId,
    byException: memory.getUint32(header.exitByException) !== 0,
    stackId: memory.getUint32(header.exitStack),
    ...(handle === 0n ? {} : { handle }),
  };
}

/** The handles that a function for leftovers closed; undefined where the record is another one, or incomplete. */
export function readSweep(memory: LedgerMemory, offset: number): LedgerSweep | undefined {
  const record = readRecord(memory, offset);
  if (record?.kind !== 'swept') return undefined;
  const { count, values, life, offending: swept } = record;
  const { wrapper } = readWrapper(memory, offset);
  const descriptor = memory.getUint32(offset + misuse.descriptor);
  return {
    count,
    values,
    life,
    swept,
    ...(wrapper && { wrapper: { ...wrapper, ...(descriptor === 0 ? {} : { descriptor: descriptor - 1 }) } }),
  };
}

function readWrapper(memory: LedgerMemory, offset: number): { readonly wrapper?: Wrapper } {
  const key = memory.getBigUint64(offset + misuse.runtimeObjectKey);
  return key === 0n ? {} : { wrapper: nameRuntimeObject(key) };
}

/** The fields that all records of the table share. */
interface MisuseRecord extends Pick<LedgerMisuse, 'status' | 'count' | 'values' | 'offending' | 'life'> {
  readonly kind: LedgerMisuse['kind'] | 'inherited' | 'swept';
}

function readRecord(memory: LedgerMemory, offset: number): MisuseRecord | undefined {
  if (memory.getUint32(offset + misuse.ready) !== 1) return undefined;
  const valueCount = Math.min(memory.getUint32(offset + misuse.valueCount), MISUSE_VALUE_COUNT);
  const values = Array.from({ length: valueCount }, (_, at) => memory.getBigInt64(offset + misuse.values + at * 8));
  // A call that has not come back may have been the end of the process.
  const count = memory.getUint32(offset + misuse.count) + memory.getUint32(offset + misuse.pending);
  if (count === 0) return undefined;
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
    life: readLife(memory, offset + misuse.life) ?? neverSeen(memory.getUint16(offset + misuse.offendingCall)),
  };
}

function readLivesOfMisuse(
  memory: LedgerMemory,
  offset: number,
  generation: bigint,
  { history, misuseLivesOffset, earlierLivesSizeBytes }: LedgerLayout,
): Pick<LedgerMisuse, 'earlierLives'> {
  const index = memory.getUint32(offset + misuse.earlierLives) - 1;
  if (index < 0 || index >= MISUSE_COUNT) return {};
  const earlierLives = readEarlierLives(memory, misuseLivesOffset + index * earlierLivesSizeBytes, generation, history);
  return earlierLives.length === 0 ? {} : { earlierLives };
}

/**
 * The lives before a generation, the latest first. One that is older than the ring has room for, or whose opening was
 * not recorded, is left out.
 *
 * @param offset of the value's earlier lives
 */
export function readEarlierLives(
  memory: LedgerMemory,
  offset: number,
  generation: bigint,
  history: number,
): readonly LedgerLife[] {
  const generations = Array.from({ length: history }, (_, index) => generation - 1n - BigInt(index));
  return generations.flatMap((earlier) => {
    if (earlier <= 0n) return [];
    const life = readLifeOf(memory, offset + earlierLifeOffset(earlier, history), earlier, false);
    return life.opened?.call === undefined ? [] : [life];
  });
}

function readOutcome(memory: LedgerMemory, offset: number): WrongCloserOutcome {
  if (memory.getUint32(offset + misuse.pending) > 0) return 'never-returned';
  return memory.getUint32(offset + misuse.closedCount) > 0 ? 'closed' : 'stayed-open';
}

function readVictim(memory: LedgerMemory, offset: number): Pick<LedgerMisuse, 'victim'> {
  const victim = memory.getUint32(offset + misuse.victim);
  if ((victim & VICTIM) === 0) return {};
  const objectType = objectTypes[victim & 0xffff] ?? 'Unknown';
  return { victim: { objectType, stackId: memory.getUint32(offset + misuse.victimStack) } };
}

/** The images whose records are complete, in order, from an offset on. */
export function* readImages(memory: LedgerMemory, offset: number): Generator<LedgerImage> {
  const count = Math.min(memory.getUint32(header.imageCount), IMAGE_COUNT);
  for (let index = 0; index < count; index++) {
    const image = readImage(memory, offset + index * IMAGE_SIZE_BYTES);
    if (image !== undefined) yield image;
  }
}

/** An image; undefined while its record is incomplete. */
function readImage(memory: LedgerMemory, offset: number): LedgerImage | undefined {
  const base = memory.getBigUint64(offset + image.base);
  const sizeBytes = memory.getUint32(offset + image.sizeBytes);
  if (base === 0n || sizeBytes === 0) return undefined;
  const lengthBytes = Math.min(memory.getUint16(offset + image.path), IMAGE_SIZE_BYTES - image.pathText) & ~1;
  const text = new Uint16Array(lengthBytes / 2);
  for (let at = 0; at < text.length; at++) text[at] = memory.getUint16(offset + image.pathText + at * 2);
  return { base, sizeBytes, path: String.fromCharCode(...text) };
}

/** Names what stands for a handle, as the program knows it. A search never gets here: its handle is not known. */
export function nameRuntimeObject(key: bigint): Wrapper {
  if ((key & NOTIFICATION_KEY) !== 0n) return { type: 'ChangeNotification' };
  return (key & DESCRIPTOR_KEY) === 0n
    ? { type: 'FILE', value: key }
    : { type: 'Descriptor', value: BigInt.asIntN(32, key) };
}

/** The life of a value that was given to a call and never seen before. A number given to _close means a descriptor. */
function neverSeen(rowNumber: number): LedgerLife {
  const row = recordedCalls[rowNumber - 1];
  const isDescriptor =
    row !== undefined && 'kind' in row && row.kind === 'runtime-object' && row.closes?.type === 'Descriptor';
  return {
    isOpen: false,
    generation: 0n,
    objectType: isDescriptor ? 'Descriptor' : 'Unknown',
    opened: undefined,
    closed: undefined,
  };
}

const misuseKinds: ReadonlyMap<number, MisuseRecord['kind']> = new Map([
  [MISUSE_CLOSE, 'close'],
  [MISUSE_USE, 'use'],
  [MISUSE_CLOSED_AS_HANDLE, 'closed-as-handle'],
  [MISUSE_INHERITED, 'inherited'],
  [MISUSE_SWEPT, 'swept'],
  [MISUSE_WRONG_CLOSER, 'wrong-closer'],
]);

/** A function that closes one of these takes the address of a structure for it. */
const objectsAtAddresses: ReadonlySet<RuntimeObjectType | 'Key'> = new Set(['FILE', 'Search', 'PseudoConsole']);

/** The DLL of a row's function, and whether the call may have used handles of other values than its own. */
function functionOf(
  rowNumber: number,
  kind: LedgerMisuse['kind'],
  { objectType }: LedgerLife,
): Pick<LedgerMisuse, 'functionOf' | 'mayUseOthers'> {
  const row = recordedCalls[rowNumber - 1];
  if (row === undefined || !('module' in row)) return {};
  const closes = row.kind === 'runtime-object' ? row.closes?.type : undefined;
  const isLost = kind === 'wrong-closer' && closes !== undefined && objectsAtAddresses.has(closes);
  return { functionOf: row.module, ...(isLost || objectType === standaloneType ? { mayUseOthers: true } : {}) };
}

/** The types of object that a row's call or function is made for. */
function typesOf(rowNumber: number): LedgerMisuse['worksOn'] {
  const row = recordedCalls[rowNumber - 1];
  if (row === undefined) return [];
  if ('worksOn' in row) return row.worksOn;
  return row.kind === 'socket' ? ['Socket'] : [];
}

function callName(rowNumber: number): string | undefined {
  return recordedCalls[rowNumber - 1]?.name;
}

/** The calls about handles of other processes, from the offset of their table on; what makes no sense is free. */
export function* readElsewhere(memory: LedgerMemory, offset: number): Generator<LedgerCallElsewhere> {
  for (let index = 0; index < ELSEWHERE_COUNT; index++) {
    const entry = offset + index * ELSEWHERE_SIZE_BYTES;
    const call = readCallElsewhere(memory, entry);
    if (call !== undefined) yield call;
  }
}

/**
 * The call in an entry; undefined for none, and for one that is just being written: its time is 0 meanwhile. A later
 * call that takes the entry while it is read has another time or another stack.
 */
function readCallElsewhere(memory: LedgerMemory, entry: number): LedgerCallElsewhere | undefined {
  const key = memory.getBigUint64(entry + elsewhere.key);
  const kind = Number(key & BigInt(ELSEWHERE_KIND_MASK));
  if (kind !== OPENED_ELSEWHERE && kind !== CLOSED_ELSEWHERE) return undefined;
  const time = memory.getBigUint64(entry + elsewhere.time);
  if (time === 0n) return undefined;
  const stackId = memory.loadUint32(entry + elsewhere.stack);
  const type = memory.getUint16(entry + elsewhere.objectType);
  const call = callName(memory.getUint16(entry + elsewhere.call));
  const threadId = memory.getUint32(entry + elsewhere.threadId);
  const isSteady =
    memory.loadUint32(entry + elsewhere.stack) === stackId &&
    isStill(memory, entry + elsewhere.time, time) &&
    isStill(memory, entry + elsewhere.key, key);
  if (!isSteady) return undefined;
  return {
    kind: kind === OPENED_ELSEWHERE ? 'opened' : 'closed',
    processId: Number(key >> 32n),
    value: key & 0xffff_fffcn,
    objectType: objectTypes[type] ?? 'Unknown',
    call: { call, threadId, time, stackId },
  };
}

function isStill(memory: LedgerMemory, offset: number, value: bigint): boolean {
  return (
    memory.loadUint32(offset) === Number(BigInt.asUintN(32, value)) &&
    memory.loadUint32(offset + 4) === Number(value >> 32n)
  );
}
