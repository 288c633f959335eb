import type { FunctionRow } from './function-table.ts';
import type { ObjectType } from './object-types.ts';

/**
 * Objects of one family stand for each other: a FILE has a descriptor, which is closed with it. The functions of a
 * family are those of one DLL, or of libuv.
 */
const families: readonly (readonly ObjectType[])[] = [
  ['Descriptor', 'FILE'],
  ['Search'],
  ['PseudoConsole'],
  ['ChangeNotification'],
];

/**
 * The family of the functions that ask for work. The memory of a work that is done is used again: a work that was asked
 * for without a hook could be taken for the one that was there before.
 */
const REQUESTS = 1 << families.length;

/** Sets of families, a bit each. */
interface FamilyBits {
  /** The families of the objects that a function opens, closes or works on. */
  readonly touched: number;
  /**
   * Those that must not be followed when the function cannot be hooked: an object that it opens would seem closed, and
   * one that it closes would seem open.
   */
  readonly needed: number;
}

/**
 * {@link FamilyBits} of a row. Sockets have none: the system calls beneath show what becomes of them. Fast fails have
 * nothing to do with objects.
 */
export function familyBits(row: FunctionRow): FamilyBits {
  switch (row.kind) {
    case 'socket':
    case 'fast-fail':
      return { touched: 0, needed: 0 };
    case 'request':
      return { touched: REQUESTS, needed: REQUESTS };
    case 'sweep':
      return { touched: row.sweeps === 'streams' ? bitOf('FILE') : 0, needed: 0 };
    case 'runtime-object': {
      const needed = bitOf(row.opens?.type) | bitOf(row.closes?.type);
      return { touched: needed | bitOf(row.uses?.type), needed };
    }
  }
}

function bitOf(type: ObjectType | undefined): number {
  const index = families.findIndex((family) => type !== undefined && family.includes(type));
  return index < 0 ? 0 : 1 << index;
}
