import type { CallLedger, LedgerInheritance } from '../call-ledger.ts';
import type { HandleObject } from '../model.ts';
import type { Inheritance, KeptHandle } from '../evidence-model.ts';
import type { CallReader } from './calls.ts';
import type { Description, KeptByChild, TableEntry } from './sources.ts';

/** The handles that children inherited, before they have names. */
export class InheritanceGroups {
  readonly #groups: readonly InheritanceGroup[];
  readonly #byValue = new Map<bigint, InheritanceGroup[]>();

  constructor(ledger: CallLedger) {
    this.#groups = Array.from(ledger.inheritances(), (record) => new InheritanceGroup(record, ledger));
    for (const group of this.#groups) {
      for (const value of group.values) {
        const known = this.#byValue.get(value);
        if (known === undefined) this.#byValue.set(value, [group]);
        else known.push(group);
      }
    }
  }

  /** Shows an open handle to the groups that may know it. */
  offer(entry: TableEntry): void {
    for (const group of this.#byValue.get(entry.value) ?? []) group.offer(entry);
  }

  /** The handles that need a name. */
  toDescribe(): readonly TableEntry[] {
    return this.#groups.flatMap((group) => group.entries);
  }

  finish(
    calls: CallReader,
    descriptions: ReadonlyMap<bigint, Description>,
    kept: readonly KeptByChild[] = [],
  ): readonly Inheritance[] {
    return this.#groups.flatMap((group) => group.finish(calls, descriptions, kept) ?? []);
  }
}

/** The handles of one opening stack that children of one starting stack inherited. */
class InheritanceGroup {
  /** The handles that are open still. */
  readonly entries: TableEntry[] = [];
  readonly #record: LedgerInheritance;
  readonly #ledger: Pick<CallLedger, 'life'>;

  constructor(record: LedgerInheritance, ledger: Pick<CallLedger, 'life'>) {
    this.#record = record;
    this.#ledger = ledger;
  }

  get values(): readonly bigint[] {
    return this.#record.values;
  }

  /** Keeps the entry, which has one of the values, if it has been open since before a child first inherited it. */
  offer(entry: TableEntry): void {
    const { values, life, started } = this.#record;
    const now = this.#ledger.life(entry.value);
    if (now?.isOpen !== true || now.opened === undefined || now.opened.stackId !== life.opened?.stackId) return;
    const isFirst = entry.value === values[0] && now.generation === life.generation;
    if (isFirst || now.opened.time < started.time) this.entries.push(entry);
  }

  finish(
    calls: CallReader,
    descriptions: ReadonlyMap<bigint, Description>,
    keptByAll: readonly KeptByChild[],
  ): Inheritance | undefined {
    const { values, life, count, started, asDescriptor } = this.#record;
    if (life.opened?.call === undefined || values.length === 0) return undefined;
    const open = new Set(this.entries.map(({ value }) => value));
    const type = life.objectType;
    const [first, ...others] = keptByAll
      .filter(({ value, openedStackId }) => openedStackId === life.opened?.stackId && values.includes(value))
      .map(({ openedStackId: _id, closed, ...kept }): KeptHandle => ({ ...kept, closed: calls.read(closed) }));
    const objectOfKept = new Map(
      [first, ...others].flatMap((kept) => (kept === undefined ? [] : [[kept.value, kept.object]])),
    );
    const objectOf = (value: bigint): HandleObject => {
      const object = open.has(value) ? descriptions.get(value)?.object : objectOfKept.get(value);
      return object === undefined || (type !== 'Unknown' && object.type !== type) ? { type } : object;
    };
    return {
      count,
      handles: values.map((value) => ({ value, object: objectOf(value) })),
      opened: calls.read(life.opened),
      started: calls.read(started),
      ...calls.sectionsOf(life.opened, started),
      ...(asDescriptor ? { asDescriptor } : {}),
      ...(first === undefined ? {} : { kept: [first, ...others] }),
    };
  }
}
