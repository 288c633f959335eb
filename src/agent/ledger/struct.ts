/** The type of a field: an unsigned number, or several of them in a row; `u64[0]` begins a list of any length. */
export type FieldType = ScalarType | `${ScalarType}[${number}]`;

type ScalarType = keyof typeof scalarSizes;

const scalarSizes = { u8: 1, u16: 2, u32: 4, u64: 8 } as const;

/** A record in memory, as a C compiler would lay it out. */
export interface Struct<Fields extends Readonly<Record<string, FieldType>>> {
  /** Offset of each field from the record's beginning, in bytes. */
  readonly offsets: { readonly [Name in keyof Fields]: number };
  readonly sizeBytes: number;
}

/**
 * Lays out a record: the fields follow each other in the order in which they stand here, so that no two can overlap.
 *
 * Every field must be aligned to its own size, and the record's size to its widest field. Where C would leave a gap the
 * record names its padding.
 *
 * @throws Error when a field has no known type, or when padding is missing before a field or at the end
 */
export function struct<const Fields extends Readonly<Record<string, FieldType>>>(fields: Fields): Struct<Fields> {
  const offsets: Record<string, number> = {};
  let sizeBytes = 0;
  let widestBytes = 1;
  const requireAligned = (what: string, alignmentBytes: number) => {
    const missingBytes = -sizeBytes & (alignmentBytes - 1);
    if (missingBytes !== 0)
      throw new Error(
        `${what} at ${sizeBytes} is not aligned to ${alignmentBytes} bytes: add ${missingBytes} of padding`,
      );
  };
  for (const [name, type] of Object.entries<FieldType>(fields)) {
    const { scalarSizeBytes, count } = parseType(name, type);
    requireAligned(`the field ${name}`, scalarSizeBytes);
    offsets[name] = sizeBytes;
    sizeBytes += scalarSizeBytes * count;
    widestBytes = Math.max(widestBytes, scalarSizeBytes);
  }
  requireAligned('the end', widestBytes);
  return { offsets: offsets as Struct<Fields>['offsets'], sizeBytes };
}

function parseType(name: string, type: FieldType): { readonly scalarSizeBytes: number; readonly count: number } {
  const [, scalar, count = '1'] = /^(u8|u16|u32|u64)(?:\[(\d+)\])?$/.exec(type) ?? [];
  if (scalar === undefined) throw new Error(`the field ${name} has no known type: ${type}`);
  return { scalarSizeBytes: scalarSizes[scalar as ScalarType], count: Number(count) };
}
