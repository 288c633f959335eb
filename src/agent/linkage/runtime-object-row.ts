import {
  type Failure,
  functionModules,
  type RuntimeObjectArgument,
  type RuntimeObjectFunction,
} from '../tables/function-table.ts';
import { typeIndex } from '../tables/object-types.ts';
import { DESCRIPTOR_KEY } from '../ledger/layout.ts';
import type { Assembler } from '../asm/assembler.ts';
import type { Label } from '../asm/operands.ts';

/** Where a C runtime's module lies, and what tells its runtime objects and their handles. */
export interface RuntimeModule {
  readonly base: bigint;
  readonly sizeBytes: number;
  /** `_fileno` and `_get_osfhandle`; 0 in a module without descriptors. */
  readonly fileno: bigint;
  readonly getOsfhandle: bigint;
}

/** A row of data: what the hook must know of one function; offsets from its beginning. */
export const runtimeObjectRow = {
  moduleBase: 0x00,
  moduleSize: 0x08,
  fileno: 0x10,
  getOsfhandle: 0x18,
  /** u64: the bits of {@link DESCRIPTOR_KEY} and the runtime's number. */
  descriptorKey: 0x20,
  /** u32: the row's number in the ledger. */
  number: 0x28,
  /** u8 each, and so on: an index of the object types, 0 for nothing. */
  usesType: 0x2c,
  usesArgument: 0x2d,
  closesType: 0x2e,
  closesArgument: 0x2f,
  replaces: 0x30,
  opensType: 0x31,
  /** 0: the result; 1: stored where an argument points to; 2: the number in an argument. */
  opensFrom: 0x32,
  opensArgument: 0x33,
  opensCount: 0x34,
  /** Which results say that the call has failed: {@link failureBits}. */
  failure: 0x35,
  /** 1 where a failure leaves open what the call was to close. */
  keepsOnFailure: 0x36,
  sizeBytes: 0x38,
} as const;

/** What `opensFrom` is an index of. */
export const openedFrom = ['result', 'stored-at', 'named-by'] as const;

/** Bits of a result: what it is, and for a row whether it is an int. */
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

/** Completes a row in the assembled image, for where the function's module lies. */
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

/** Emits the row of a function, of which {@link setRuntimeModule} tells the rest. */
export function emitRuntimeObjectRow(asm: Assembler, rowNumber: number, description: RuntimeObjectFunction): Label {
  const { uses, closes, opens } = description;
  const data = new DataView(new ArrayBuffer(runtimeObjectRow.sizeBytes));
  // tells one C runtime's descriptors from another's
  const runtime = BigInt(functionModules.indexOf(description.module));
  data.setBigUint64(runtimeObjectRow.descriptorKey, DESCRIPTOR_KEY | (runtime << 32n), true);
  data.setUint32(runtimeObjectRow.number, rowNumber, true);
  const setArgument = (typeAt: number, named: RuntimeObjectArgument | undefined) => {
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
  const label = asm.bind(asm.label(`${description.name} row`));
  asm.data(new Uint8Array(data.buffer));
  return label;
}
