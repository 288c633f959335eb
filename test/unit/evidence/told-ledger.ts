import type {
  CallLedger,
  LedgerCall,
  LedgerCallElsewhere,
  LedgerExit,
  LedgerImage,
  LedgerInheritance,
  LedgerLife,
  LedgerMisuse,
  LedgerSweep,
} from '../../../src/call-ledger.ts';
import type { Gap } from '../../../src/completeness.ts';
import type { StackReader } from '../../../src/evidence/sources.ts';
import type { Wrapper } from '../../../src/model.ts';

/** The content of a {@link ToldLedger}. */
export interface Told {
  readonly lives?: Readonly<Record<number, LedgerLife>>;
  readonly objects?: readonly { readonly value: bigint; readonly life: LedgerLife }[];
  readonly closedWhileExiting?: readonly bigint[];
  readonly exitingTime?: bigint;
  readonly exit?: LedgerExit;
  readonly own?: readonly bigint[];
  readonly wrappers?: Readonly<Record<number, Wrapper>>;
  readonly misuses?: readonly LedgerMisuse[];
  /** Opening stacks of searches that were given to a wrong closer. */
  readonly givenSearches?: readonly number[];
  readonly inheritances?: readonly LedgerInheritance[];
  readonly sweeps?: readonly LedgerSweep[];
  /** Return addresses by stack id, innermost first. */
  readonly stacks?: Readonly<Record<number, readonly bigint[]>>;
  /** Whether the target has windows; no ledger knows it. */
  readonly hasWindows?: boolean;
  /** The closing stack by the opening stack. */
  readonly closedBy?: Readonly<Record<number, number>>;
  /** Types by opening stack; `Event` by default. */
  readonly openedTypes?: Readonly<Record<number, string>>;
}

/** A recorder that knows what a test tells it: the second implementation of a ledger, beside the agent's. */
export class ToldLedger implements CallLedger {
  readonly #told: Told;

  constructor(told: Told) {
    this.#told = told;
  }

  check(): void {}

  life(value: bigint): LedgerLife | undefined {
    return this.#told.lives?.[Number(value)];
  }

  openValues(): readonly bigint[] {
    return Object.entries(this.#told.lives ?? {}).flatMap(([value, { isOpen }]) => (isOpen ? [BigInt(value)] : []));
  }

  openObjects(): readonly { readonly value: bigint; readonly life: LedgerLife }[] {
    return this.#told.objects ?? [];
  }

  openingsOfClosed(threadIds: ReadonlySet<number>): readonly LedgerCall[] {
    return Object.values(this.#told.lives ?? {}).flatMap(({ isOpen, opened }) =>
      isOpen || opened === undefined || !threadIds.has(opened.threadId) ? [] : [opened],
    );
  }

  valuesClosedWhileExiting(): readonly bigint[] {
    return this.#told.closedWhileExiting ?? [];
  }

  exitingTime(): bigint | undefined {
    return this.#told.exitingTime;
  }

  exit(): LedgerExit | undefined {
    return this.#told.exit;
  }

  recordersOwn(): (value: bigint) => boolean {
    return (value) => this.#told.own?.includes(value) === true;
  }

  wrapperOf(value: bigint): Wrapper | undefined {
    return this.#told.wrappers?.[Number(value)];
  }

  misuses(): readonly LedgerMisuse[] {
    return this.#told.misuses ?? [];
  }

  searchesGivenToWrongCloser(): readonly number[] {
    return this.#told.givenSearches ?? [];
  }

  inheritances(): readonly LedgerInheritance[] {
    return this.#told.inheritances ?? [];
  }

  images(): readonly LedgerImage[] {
    return [];
  }

  stack(id: number): readonly bigint[] {
    return this.#told.stacks?.[id] ?? [];
  }

  typeOpenedBy(id: number): string {
    return this.#told.openedTypes?.[id] ?? 'Event';
  }

  callsElsewhere(): readonly LedgerCallElsewhere[] {
    return [];
  }

  sweeps(): readonly LedgerSweep[] {
    return this.#told.sweeps ?? [];
  }

  closedBy(id: number): number {
    return this.#told.closedBy?.[id] ?? 0;
  }

  closedStacks(): readonly { readonly id: number; readonly closedBy: number }[] {
    return Object.entries(this.#told.closedBy ?? {}).map(([id, closedBy]) => ({ id: Number(id), closedBy }));
  }

  totals(): { readonly opens: number; readonly closes: number } {
    return { opens: 0, closes: 0 };
  }

  gaps(): readonly Gap[] {
    return [];
  }
}

/** Addresses from here on belong to the system. */
export const SYSTEM = 0x7000n;

/** Names each address after its number; it belongs to the program below {@link SYSTEM}. */
export const plainSymbols: StackReader = {
  resolveStack: (addresses) =>
    addresses.map((address) => ({
      module: address < SYSTEM ? 'app.exe' : 'ntdll.dll',
      function: `f${address.toString(16)}`,
      offset: 0,
      ...(address < SYSTEM ? {} : { system: true as const }),
    })),
  moduleOf: (address) => ({ name: address < SYSTEM ? 'app.exe' : 'ntdll.dll', isSystem: address >= SYSTEM }),
  programAddress: (addresses) => addresses.find((address) => address < SYSTEM),
};

export function calledBy(stackId: number, call = 'NtCreateEvent', time = 0n): LedgerCall {
  return { call, threadId: 1, time, stackId };
}

export function openLife(stackId: number, objectType = 'Event', change: Partial<LedgerLife> = {}): LedgerLife {
  return { isOpen: true, generation: 1n, objectType, opened: calledBy(stackId), closed: undefined, ...change };
}
