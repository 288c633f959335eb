import type { Ledger, LedgerCall, LedgerLife, LedgerMisuse } from './agent/ledger/ledger.ts';
import { functionTable } from './agent/tables/function-table.ts';
import { objectTypes } from './agent/tables/object-types.ts';
import { INHERITED_BY_NAME } from './agent/ledger/layout.ts';
import { HandleDescriber } from './handles/describe.ts';
import { HandleTable } from './handles/enumerate.ts';
import type { AsHandle } from './io/index.ts';
import { type MarkCounts, siteKey } from './marks/mark-counts.ts';
import type { CallRecord, Evidence, HandleObject, Inheritance, Misuse, OpenHandle, OpenSite, Stack } from './model.ts';
import type { Symbolizer } from './symbols/symbolizer.ts';

/** Examples that are named for each site. */
const EXAMPLE_COUNT = 10;
/** Other stacks that are compared with one site's. */
const CLOSED_ELSEWHERE_COUNT = 32;
/** Process and thread handles of one site that are asked whether their object has ended. */
const ENDED_CHECK_COUNT = 10_000;

/** What the evidence is gathered from. */
export interface EvidenceSources {
  readonly ledger: Ledger;
  readonly symbolizer: Symbolizer;
  /** FILETIME at which recording began. */
  readonly startTime: bigint;
  /** What was open at each mark; absent when there were to be none. */
  readonly markCounts?: MarkCounts;
}

/** Evidence, and what was learnt of how much of the truth it is. */
export interface GatheredEvidence {
  readonly evidence: Evidence;
  /** Handles in the kernel's table, or, where that is gone, open in the ledger. */
  readonly openHandles: number;
  /** Handles that were opened where the recorder could not see it. */
  readonly unseenOpens: number;
  /** Handles that are named in the evidence and whose name could not be had in time. */
  readonly namesTimedOut: number;
  readonly distinctStacks: number;
}

/** One line of the handle table, or of the ledger where there is no table any more. */
interface OpenEntry {
  readonly value: bigint;
  readonly type: string;
  readonly access: number;
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}

/** A live target's evidence: its kernel handle table, explained by the ledger. The target must not run meanwhile. */
export async function gatherLive(
  target: AsHandle,
  processId: number,
  sources: EvidenceSources,
): Promise<GatheredEvidence> {
  const table = HandleTable.readProcess(target, processId);
  const gateHandles = new Set(sources.ledger.gateHandles());
  function* entries(): Generator<OpenEntry> {
    for (let index = 0; index < table.count; index++) {
      const value = table.valueAt(index);
      if (!gateHandles.has(value) && !sources.ledger.isQuarantined(value)) yield table.entryAt(index);
    }
  }
  using describer = new HandleDescriber();
  // One round of questions for all sites: those that must be asked in the helper process wait for each other only once.
  return gather(entries(), sources, async (asked) => {
    const answers = await describer.describe(
      target,
      asked.map(({ value, type }) => ({ processId, value, type })),
    );
    return new Map(asked.map((entry, index) => [entry.value, answers[index]!]));
  });
}

/** A dead target's evidence: the ledger alone, for the handle table is gone. */
export function gatherPostMortem(sources: EvidenceSources): Promise<GatheredEvidence> {
  function* entries(): Generator<OpenEntry> {
    for (const value of sources.ledger.openValues()) {
      const type = sources.ledger.life(value)?.objectType ?? 'Unknown';
      yield { value, type: type === 'Socket' ? 'File' : type, access: 0, inheritable: false, protectFromClose: false };
    }
  }
  return gather(entries(), sources, async () => new Map());
}

/**
 * Handles that the program left to its runtime: a C runtime closes forgotten streams when its DLL is detached, after
 * the program's last instruction. What a destructor of the program closes as late as that is no leak.
 */
function groupClosedAtExit(ledger: Ledger, calls: CallReader): Iterable<SiteGroup> {
  const groups = new Map<number, SiteGroup>();
  for (const value of ledger.valuesClosedWhileExiting()) {
    const life = ledger.life(value);
    if (life?.opened?.call === undefined || life.closed === undefined) continue;
    if (!isClosedByRuntime(calls.read(life.closed).stack)) continue;
    const entry = { value, type: life.objectType, access: 0, inheritable: false, protectFromClose: false };
    const group = groups.get(life.opened.stackId);
    if (group === undefined) groups.set(life.opened.stackId, new SiteGroup(life.objectType, life, entry));
    else group.add(entry, life);
  }
  return groups.values();
}

/** No code of the program stands between the exit of the process and the close. */
function isClosedByRuntime(stack: Stack): boolean {
  const exit = stack.findIndex(
    ({ system, function: name }) =>
      system === true && /^(?:RtlExitUserProcess|LdrShutdownProcess|ExitProcess)$/.test(name ?? ''),
  );
  return exit >= 0 && stack.slice(0, exit).every(({ system }) => system === true);
}

interface Description {
  readonly object: HandleObject;
  readonly ended?: boolean;
  readonly endedTime?: bigint;
  readonly nameProblem?: string;
}

async function gather(
  entries: Iterable<OpenEntry>,
  sources: EvidenceSources,
  describe: (asked: readonly OpenEntry[]) => Promise<ReadonlyMap<bigint, Description>>,
): Promise<GatheredEvidence> {
  const { ledger } = sources;
  const recorded = [...ledger.misuses()];
  const inheritances = recorded
    .filter(({ kind }) => kind === 'inherited')
    .map((misuse) => new InheritanceRecord(misuse, ledger));
  const inheritancesOf = new Map<bigint, InheritanceRecord[]>();
  for (const inheritance of inheritances) {
    for (const value of inheritance.values)
      inheritancesOf.set(value, [...(inheritancesOf.get(value) ?? []), inheritance]);
  }
  const groups = new Map<string, SiteGroup>();
  let openHandles = 0;
  let unseenOpens = 0;
  for (const entry of entries) {
    openHandles++;
    for (const inheritance of inheritancesOf.get(entry.value) ?? []) inheritance.offer(entry);
    const life = ledger.life(entry.value);
    if (life?.isOpen !== true || life.opened === undefined) {
      unseenOpens++;
      continue;
    }
    if (life.opened.call === undefined) continue; // there before recording began
    const type = life.objectType === 'Socket' ? 'Socket' : entry.type;
    const key = siteKey(life.opened, type);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, new SiteGroup(type, life, entry));
    else group.add(entry, life);
  }

  const calls = new CallReader(sources);
  const sites = [...groups.values(), ...groupClosedAtExit(ledger, calls)];
  const descriptions = await describe([...sites, ...inheritances].flatMap((each) => each.toDescribe()));
  const { markCounts } = sources;
  const open = sites.map((site) => site.finish(calls, descriptions, markCounts));
  if (markCounts !== undefined) open.push(...listClosedAfterMarks(markCounts, sites, calls));
  const misuses = withoutInnerRefusals(ledger, recorded.filter(isMisuse)).map((misuse): Misuse => {
    const { life } = misuse;
    return {
      kind: misuse.kind,
      status: misuse.status,
      count: misuse.count,
      values: misuse.values,
      ...(life.objectType === 'Unknown'
        ? {}
        : { object: { type: life.objectType, ...(misuse.wrapper && { wrapper: misuse.wrapper }) } }),
      offending: calls.read(misuse.offending),
      ...(misuse.victim === undefined
        ? {}
        : { victim: { object: { type: misuse.victim.objectType }, opened: calls.stack(misuse.victim.stackId) } }),
      ...(life.opened?.call === undefined ? {} : { opened: calls.read(life.opened) }),
      ...(life.closed === undefined ? {} : { closed: calls.read(life.closed) }),
    };
  });
  return {
    evidence: {
      open,
      misuses,
      inheritedByChildren: inheritances.flatMap((inheritance) => inheritance.finish(calls, descriptions) ?? []),
      ...(markCounts === undefined ? {} : { marks: markCounts.marks }),
    },
    openHandles,
    unseenOpens,
    namesTimedOut: [...descriptions.values()].filter(({ nameProblem }) => nameProblem === 'timed out').length,
    distinctStacks: calls.distinctStacks,
  };
}

/** What was open at a mark and is not at the judgement point: it may have grown all the same. */
function listClosedAfterMarks(
  markCounts: MarkCounts,
  sites: readonly SiteGroup[],
  calls: CallReader,
): readonly OpenSite[] {
  const open = new Set(sites.flatMap((site) => site.keys));
  return [...markCounts.sites].flatMap(([key, { opened, objectType, counts }]) => {
    if (open.has(key)) return [];
    const siblingsClosedAt = calls.closingStack(opened.stackId);
    return {
      object: { type: objectType },
      count: counts.at(-1) ?? 0,
      examples: [],
      opened: calls.read(opened),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      endedCount: 0,
      countsAtMarks: counts,
      closedAfterMarks: true as const,
    };
  });
}

const hookedFunctions: ReadonlySet<string> = new Set(functionTable.map(({ name }) => name));

/**
 * Every misuse once: some of Winsock's functions pass a bad socket on to the kernel (on Wine `setsockopt`, `listen`),
 * whose refusal is recorded, and then that of the function itself. What the program called is what counts.
 */
function withoutInnerRefusals(ledger: Ledger, misuses: readonly RecordedMisuse[]): readonly RecordedMisuse[] {
  const recorded = misuses.map((misuse) => ({ misuse, stack: ledger.stack(misuse.offending.stackId) }));
  const outers = recorded.filter(({ misuse }) => hookedFunctions.has(misuse.offending.call ?? ''));
  const isOuterOf = (outer: Refusal, inner: Refusal): boolean => {
    const depth = inner.stack.indexOf(outer.stack[0] ?? 0n);
    // The longer stack may have been cut at its far end.
    const isCaller = depth > 0 && inner.stack.slice(depth).every((address, index) => address === outer.stack[index]);
    return isCaller && outer.misuse.values.some((value) => inner.misuse.values.includes(value));
  };
  return recorded.filter((inner) => !outers.some((outer) => isOuterOf(outer, inner))).map(({ misuse }) => misuse);
}

interface Refusal {
  readonly misuse: RecordedMisuse;
  /** Return addresses, innermost first. */
  readonly stack: readonly bigint[];
}

type RecordedMisuse = LedgerMisuse & { readonly kind: Misuse['kind'] };

function isMisuse(misuse: LedgerMisuse): misuse is RecordedMisuse {
  return misuse.kind !== 'inherited';
}

/** What children inherited from one opening stack by one starting stack, before it is named. */
class InheritanceRecord {
  readonly #misuse: LedgerMisuse;
  readonly #ledger: Ledger;
  /** Those of the handles that are open still. */
  readonly #entries: OpenEntry[] = [];

  constructor(misuse: LedgerMisuse, ledger: Ledger) {
    this.#misuse = misuse;
    this.#ledger = ledger;
  }

  get values(): readonly bigint[] {
    return this.#misuse.values;
  }

  /**
   * Keeps the entry, which has one of the values, if it is that very handle: open since before a child inherited it for
   * the first time.
   */
  offer(entry: OpenEntry): void {
    const { values, life, offending } = this.#misuse;
    const now = this.#ledger.life(entry.value);
    if (now?.isOpen !== true || now.opened === undefined || now.opened.stackId !== life.opened?.stackId) return;
    const isFirst = entry.value === values[0] && now.generation === life.generation;
    if (isFirst || now.opened.time < offending.time) this.#entries.push(entry);
  }

  toDescribe(): readonly OpenEntry[] {
    return this.#entries;
  }

  finish(calls: CallReader, descriptions: ReadonlyMap<bigint, Description>): Inheritance | undefined {
    const { values, life, count, offending, status } = this.#misuse;
    if (life.opened?.call === undefined || values.length === 0) return undefined;
    const type = life.objectType;
    const objectOf = (value: bigint): HandleObject => {
      const object = this.#entries.some((entry) => entry.value === value) ? descriptions.get(value)?.object : undefined;
      return object === undefined || (type !== 'Unknown' && object.type !== type) ? { type } : object;
    };
    return {
      count,
      handles: values.map((value) => ({ value, object: objectOf(value) })),
      opened: calls.read(life.opened),
      started: calls.read(offending),
      ...(status === INHERITED_BY_NAME ? { asDescriptor: true } : {}),
    };
  }
}

/** Handles that were opened by one call from one stack and are of one type, before they are named. */
class SiteGroup {
  /** The types that the recorder took the objects for; more than one where it was unsure. */
  readonly #recordedTypes: Set<string> = new Set();
  readonly #type: string;
  readonly #life: LedgerLife;
  readonly #entries: OpenEntry[];
  /** More than is kept of them. */
  #count = 1;

  constructor(type: string, life: LedgerLife, first: OpenEntry) {
    this.#type = type;
    this.#life = life;
    this.#entries = [first];
    this.#recordedTypes.add(life.objectType);
  }

  /** What the site is called in counts at marks. */
  get keys(): readonly string[] {
    const { opened } = this.#life;
    return opened === undefined ? [] : Array.from(this.#recordedTypes, (type) => siteKey(opened, type));
  }

  add(entry: OpenEntry, life: LedgerLife): void {
    this.#count++;
    this.#recordedTypes.add(life.objectType);
    if (this.#entries.length < (this.#canEnd ? ENDED_CHECK_COUNT : EXAMPLE_COUNT)) this.#entries.push(entry);
  }

  get #canEnd(): boolean {
    return this.#type === 'Process' || this.#type === 'Thread';
  }

  /** What is to be looked at in the target; what is closed already cannot be. */
  toDescribe(): readonly OpenEntry[] {
    return this.#life.isOpen ? this.#entries : [];
  }

  finish(
    calls: CallReader,
    descriptions: ReadonlyMap<bigint, Description>,
    markCounts: MarkCounts | undefined,
  ): OpenSite {
    const { opened } = this.#life;
    const describe = (entry: OpenEntry): OpenHandle => ({
      value: entry.value,
      object: { ...this.#objectOf(descriptions.get(entry.value)), ...calls.wrapperOf(entry.value) },
      access: entry.access,
      inheritable: entry.inheritable,
      protectFromClose: entry.protectFromClose,
    });
    const examples = this.#entries.slice(0, EXAMPLE_COUNT).map(describe);
    const siblingsClosedAt = opened && calls.closingStack(opened.stackId);
    const closedElsewhere =
      opened !== undefined && siblingsClosedAt === undefined ? calls.closedElsewhere(opened.stackId) : [];
    return {
      object: this.#count === 1 ? examples[0]!.object : { type: this.#type, ...commonWrapper(examples) },
      count: this.#count,
      examples,
      ...(opened === undefined ? {} : { opened: calls.read(opened) }),
      ...(siblingsClosedAt === undefined ? {} : { siblingsClosedAt }),
      ...(closedElsewhere.length === 0 ? {} : { closedElsewhere }),
      endedCount: this.#entries.filter(({ value }) => calls.hadEnded(descriptions.get(value))).length,
      ...(this.#life.isOpen ? {} : { closedAtExit: true }),
      ...(markCounts === undefined ? {} : { countsAtMarks: markCounts.countsOf(this.keys) }),
    };
  }

  #objectOf(description: Description | undefined): HandleObject {
    const object = description?.object ?? { type: this.#type };
    // What is opened as a socket stays one, although a shut one may no longer answer as such.
    return this.#type === 'Socket' && object.type !== 'Socket' ? { type: 'Socket' } : object;
  }
}

/** What all of the handles are known by, if they are known by the like. */
function commonWrapper(handles: readonly OpenHandle[]): Pick<HandleObject, 'wrapper'> {
  const type = handles[0]?.object.wrapper?.type;
  return type !== undefined && handles.every(({ object }) => object.wrapper?.type === type)
    ? { wrapper: { type } }
    : {};
}

/** Turns the ledger's calls into ones with resolved stacks, each stack once. */
class CallReader {
  readonly #sources: EvidenceSources;
  readonly #stacks = new Map<number, Stack>();
  #closedBySite: Map<bigint, { readonly id: number; readonly closedBy: number }[]> | undefined;

  constructor(sources: EvidenceSources) {
    this.#sources = sources;
  }

  get distinctStacks(): number {
    return this.#stacks.size;
  }

  read(call: LedgerCall): CallRecord {
    return {
      call: call.call ?? 'unknown',
      threadId: call.threadId,
      timeMs: Math.max(0, Number(call.time - this.#sources.startTime) / 10_000),
      stack: this.stack(call.stackId),
    };
  }

  /** Whether a process or thread had ended by itself: the other threads of the target are ended by its own exit. */
  hadEnded(description: Description | undefined): boolean {
    if (description?.ended !== true) return false;
    const exitingTime = this.#sources.ledger.exitingTime();
    return exitingTime === undefined || description.endedTime === undefined || description.endedTime < exitingTime;
  }

  wrapperOf(value: bigint): Pick<HandleObject, 'wrapper'> {
    const wrapper = this.#sources.ledger.wrapperOf(value);
    return wrapper === undefined ? {} : { wrapper };
  }

  /** Where a handle from the same opening stack was closed last. */
  closingStack(openedStackId: number): Stack | undefined {
    const id = this.#sources.ledger.closedBy(openedStackId);
    return id === 0 ? undefined : this.stack(id);
  }

  /**
   * Openings by the program's same instruction of which handles were closed, some of them; see
   * {@link OpenSite.closedElsewhere}.
   */
  closedElsewhere(openedStackId: number): readonly { readonly opened: Stack; readonly closed: Stack }[] {
    const site = this.#siteAddress(openedStackId);
    if (site === undefined) return [];
    if (this.#closedBySite === undefined) {
      this.#closedBySite = new Map();
      for (const pair of this.#sources.ledger.closedStacks()) {
        const address = this.#siteAddress(pair.id);
        if (address === undefined) continue;
        const pairs = this.#closedBySite.get(address);
        if (pairs === undefined) this.#closedBySite.set(address, [pair]);
        else if (pairs.length < CLOSED_ELSEWHERE_COUNT) pairs.push(pair);
      }
    }
    return (this.#closedBySite.get(site) ?? []).map(({ id, closedBy }) => ({
      opened: this.stack(id),
      closed: this.stack(closedBy),
    }));
  }

  /** Where the program's own innermost call of a stack returns to. */
  #siteAddress(stackId: number): bigint | undefined {
    const { ledger, symbolizer } = this.#sources;
    return ledger.stack(stackId).find((address) => symbolizer.moduleOf(address)?.isSystem === false);
  }

  stack(id: number): Stack {
    let stack = this.#stacks.get(id);
    if (stack === undefined) {
      stack = this.#sources.symbolizer.resolveStack(this.#sources.ledger.stack(id));
      this.#stacks.set(id, stack);
    }
    return stack;
  }
}

/** The recorder's name of a kernel type, for handles that are open before recording begins. */
export function recordedType(kernelType: string): (typeof objectTypes)[number] {
  return objectTypes.find((type) => type === kernelType) ?? 'Unknown';
}
