import { type Failure, functionModules, type RuntimeObjectFunction } from '../tables/function-table.ts';
import { typeIndex } from '../tables/object-types.ts';
import { DESCRIPTOR_KEY, NOTIFICATION_KEY } from '../ledger/runtime-object.ts';
import { type Struct, struct } from '../ledger/struct.ts';
import type { Assembler } from '../asm/assembler.ts';
import type { Label } from '../asm/operands.ts';

/** Address and size of a C runtime's module, and its functions that lead from a FILE to a descriptor to a handle. */
export interface RuntimeModule {
  readonly base: bigint;
  readonly sizeBytes: number;
  /** `_fileno` and `_get_osfhandle`; 0 in a module without descriptors. */
  readonly fileno: bigint;
  readonly getOsfhandle: bigint;
}

const rowFields = {
  moduleBase: 'u64',
  moduleSize: 'u64',
  fileno: 'u64',
  getOsfhandle: 'u64',
  /**
   * The bits beside a number or handle in the key of what the function opens or closes: {@link DESCRIPTOR_KEY} and the
   * runtime's number, or {@link NOTIFICATION_KEY}.
   */
  keyBits: 'u64',
  /** The row's number in the ledger. */
  number: 'u32',
  /** Each type is an index of the object types, 0 for none, and before the number of its argument. */
  usesType: 'u8',
  usesArgument: 'u8',
  closesType: 'u8',
  closesArgument: 'u8',
  replaces: 'u8',
  opensType: 'u8',
  /** An index of {@link openedFrom}. */
  opensFrom: 'u8',
  opensArgument: 'u8',
  opensCount: 'u8',
  /** Results by which the call says that it has failed: {@link failureBits}. */
  failure: 'u8',
  /** 1 where a call that fails leaves open what it was to close. */
  keepsOnFailure: 'u8',
  /** How many arguments the caller leaves on the stack, behind the home space of the four in registers. */
  stackArguments: 'u8',
} as const;

const rowStruct: Struct<typeof rowFields> = struct(rowFields);

/** A row of data: what the hook of runtime objects must know about one function. */
export const runtimeObjectRow: Struct<typeof rowFields>['offsets'] = rowStruct.offsets;

/** Where a function leaves what it opens: as its result, at the pointer in an argument, or as an argument's number. */
export const openedFrom = ['result', 'stored-at', 'named-by'] as const;

/** Bits for a result: its sign, and whether it is an int. A row has the bits of the results that mean failure. */
export const NEGATIVE = 1;
export const ZERO = 2;
export const POSITIVE = 4;
export const INT = 8;

const failureBits: Readonly<Record<Failure, number>> = {
  never: 0,
  negative: INT | NEGATIVE,
  error: INT | NEGATIVE | POSITIVE,
  null: ZERO,
  invalid: NEGATIVE,
};

/** Writes the module of a row's function into the linked image. */
export function setRuntimeModule(
  image: DataView,
  rowOffset: number,
  { base, sizeBytes, fileno, getOsfhandle }: RuntimeModule,
): void {
  image.setBigUint64(rowOffset + runtimeObjectRow.moduleBase, base, true);
  image.setUint32(rowOffset + runtimeObjectRow.moduleSize, sizeBytes, true);
  image.setBigUint64(rowOffset + runtimeObjectRow.fileno, fileno, true);
  image.setBigUint64(rowOffset + runtimeObjectRow.getOsfhandle, getOsfhandle, true);
}

/** The bits of the keys of a C runtime's descriptors: its number tells them from another's. */
export function descriptorKey(module: (typeof functionModules)[number]): bigint {
  return DESCRIPTOR_KEY | (BigInt(functionModules.indexOf(module)) << 32n);
}

/** Emits the row of a function; {@link setRuntimeModule} adds its module. */
export function emitRuntimeObjectRow(asm: Assembler, rowNumber: number, description: RuntimeObjectFunction): Label {
  const { uses, closes, opens } = description;
  const isNotification = [closes?.type, opens?.type].includes('ChangeNotification');
  const data = new DataView(new ArrayBuffer(rowStruct.sizeBytes));
  data.setBigUint64(
    runtimeObjectRow.keyBits,
    isNotification ? NOTIFICATION_KEY : descriptorKey(description.module),
    true,
  );
  data.setUint32(runtimeObjectRow.number, rowNumber, true);
  const setArgument = (typeAt: number, named: RuntimeObjectFunction['closes']) => {
    data.setUint8(typeAt, named === undefined ? 0 : typeIndex(named.type));
    data.setUint8(typeAt + 1, named?.argument ?? 0);
  };
  setArgument(runtimeObjectRow.usesType, uses);
  setArgument(runtimeObjectRow.closesType, closes);
  data.setUint8(runtimeObjectRow.replaces, Number(description.replaces));
  if (opens !== undefined) {
    data.setUint8(runtimeObjectRow.opensType, typeIndex(opens.type));
    data.setUint8(runtimeObjectRow.opensFrom, openedFrom.indexOf(opens.from));
    data.setUint8(runtimeObjectRow.opensArgument, opens.argument);
    data.setUint8(runtimeObjectRow.opensCount, opens.count);
  }
  data.setUint8(runtimeObjectRow.failure, failureBits[description.failure]);
  data.setUint8(runtimeObjectRow.keepsOnFailure, Number(description.keepsOnFailure));
  data.setUint8(runtimeObjectRow.stackArguments, Math.max(0, description.argumentCount - 4));
  const label = asm.bind(asm.label(`${description.name} row`));
  asm.data(new Uint8Array(data.buffer));
  return label;
}
