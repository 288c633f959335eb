import { ByteCursor } from '../dwarf/byte-cursor.ts';
import type { MemoryBudget } from '../memory-budget.ts';
import type { TypeRecord, TypeRecords } from './types.ts';

const LF_CLASS = 0x1504;
const LF_STRUCTURE = 0x1505;
const LF_UNION = 0x1506;
const LF_ENUM = 0x1507;
const LF_INTERFACE = 0x1519;
const LF_FUNC_ID = 0x1601;
const LF_MFUNC_ID = 0x1602;
const LF_STRING_ID = 0x1605;
/** Where the size of a class, union or enumeration, or else its name, begins in the record. */
const CLASS_SIZE_AT = 20;
const UNION_SIZE_AT = 12;
const ENUM_NAME_AT = 16;
/** Where the name begins behind the scope and the type, or behind the parts of a long text. */
const FUNCTION_NAME_AT = 12;
const STRING_AT = 8;
const NAME_LENGTH_MAX = 2000;
/** Sizes of numbers that do not fit in 15 bits, by their leaf. */
const NUMBER_SIZES_BYTES: Readonly<Record<number, number>> = {
  32768: 1, // LF_CHAR
  32769: 2, // LF_SHORT
  32770: 2, // LF_USHORT
  32771: 4, // LF_LONG
  32772: 4, // LF_ULONG
  32777: 8, // LF_QUADWORD
  32778: 8, // LF_UQUADWORD
};

/**
 * Names inlined functions with their namespaces and classes: `store::Box<int>::open`. The symbol of an inlined function
 * has but a number in the id stream.
 */
export class FunctionNames {
  readonly #types: TypeRecords;
  readonly #ids: TypeRecords;
  readonly #budget: MemoryBudget;
  readonly #names = new Map<number, string | undefined>();

  constructor(types: TypeRecords, ids: TypeRecords, budget: MemoryBudget) {
    this.#types = types;
    this.#ids = ids;
    this.#budget = budget;
  }

  /**
   * The name of a function, by its number in the id stream.
   *
   * @throws RangeError where its records are damaged, or no memory is left
   */
  of(id: number): string | undefined {
    if (this.#names.has(id)) return this.#names.get(id);
    this.#names.set(id, undefined); // a damaged one is read once
    const whole = this.#read(id);
    const name = whole && spellNamespaces(whole).slice(0, NAME_LENGTH_MAX);
    this.#budget.spend(100 + 2 * (name?.length ?? 0));
    this.#names.set(id, name);
    return name;
  }

  #read(id: number): string | undefined {
    const record = this.#ids(id);
    if (record === undefined || (record.kind !== LF_FUNC_ID && record.kind !== LF_MFUNC_ID)) return undefined;
    const scope = record.bytes.readUInt32LE(4); // u32 scope: of a method a class, of a function a text
    const own = new ByteCursor(record.bytes, FUNCTION_NAME_AT).text();
    const around = record.kind === LF_MFUNC_ID ? nameOfType(this.#types(scope)) : textOf(this.#ids(scope));
    return around === undefined || around === '' ? own : `${around}::${spellSpecial(own, around)}`;
  }
}

/** Visual C++ names constructors and destructors so, in place of the last part of their class's name. */
function spellSpecial(own: string, around: string): string {
  if (own !== '{ctor}' && own !== '{dtor}') return own;
  const name = around.slice(findLastPart(around));
  return own === '{ctor}' ? name : `~${name}`;
}

/** Where the last part of a name begins; the arguments of a template are parts of no name but their own. */
function findLastPart(name: string): number {
  let depth = 0;
  for (let at = name.length - 1; at > 0; at--) {
    if (name[at] === '>') depth++;
    else if (name[at] === '<') depth--;
    else if (depth === 0 && name.startsWith('::', at - 1)) return at + 1;
  }
  return 0;
}

/** An unnamed namespace is spelled as in DWARF and by the other demanglers. */
export function spellNamespaces(name: string): string {
  return name.includes('`anon') ? name.replace(/`anonymous[ -]namespace'/g, '(anonymous namespace)') : name;
}

function textOf(record: TypeRecord | undefined): string | undefined {
  return record?.kind === LF_STRING_ID ? new ByteCursor(record.bytes, STRING_AT).text() : undefined;
}

function nameOfType(record: TypeRecord | undefined): string | undefined {
  if (record === undefined) return undefined;
  const { kind, bytes } = record;
  if (kind === LF_ENUM) return new ByteCursor(bytes, ENUM_NAME_AT).text();
  const isClass = kind === LF_CLASS || kind === LF_STRUCTURE || kind === LF_INTERFACE;
  if (!isClass && kind !== LF_UNION) return undefined;
  const cursor = new ByteCursor(bytes, isClass ? CLASS_SIZE_AT : UNION_SIZE_AT);
  const leaf = cursor.u16();
  const sizeBytes = leaf < 0x8000 ? 0 : NUMBER_SIZES_BYTES[leaf];
  if (sizeBytes === undefined) return undefined;
  cursor.skip(sizeBytes);
  return cursor.text();
}
