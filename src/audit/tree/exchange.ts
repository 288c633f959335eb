import type { CallLedger, LedgerInheritance } from '../../call-ledger.ts';
import type { OtherProcess } from '../../evidence-model.ts';
import type { KeptByChild, OtherProcesses } from '../../evidence/sources.ts';
import { HandleTable } from '../../handles/enumerate.ts';
import { describeInherited } from '../../handles/handles-from-parent.ts';
import { fileTimeNow } from '../../process/file-time.ts';
import { readStartTime } from '../../process/processes.ts';
import type { Target } from '../../process/target.ts';
import type { CallElsewhere, Examination, Look } from '../examination.ts';
import { lastCallsAbout } from './calls-about.ts';

/** One process under audit, as the others see it. */
interface Participant {
  readonly target: Target;
  readonly ledger: CallLedger;
  readonly examination: Examination;
}

/** A participant among the others. A process's id may be another's later; the participant stays the same. */
interface Joined extends Participant {
  /** The process that started it, as long as that is audited, too. */
  parent: Joined | undefined;
  /** It, as the evidence of its parent names it. */
  readonly named: OtherProcess;
  /** Handles that its children had open when it had closed its own, by the child and the value. */
  readonly kept: Map<OtherProcess, Map<bigint, KeptByChild>>;
}

/**
 * The dealings of processes that are audited together: handles that one opened or closed in another, and handles that a
 * child keeps although its parent has closed its own.
 */
export class Exchange {
  /** Those that live, by their process ids. */
  readonly #participants = new Map<number, Joined>();
  /** Calls of processes that are not read any more. */
  #past: readonly CallElsewhere[] = [];
  /** Questions that are being answered, from the memory of any participant. */
  readonly #asked = new Set<Promise<unknown>>();

  /**
   * A process is audited from now on.
   *
   * @param parentPid the process that has just started it, if that is known
   */
  join(participant: Participant, parentPid: number | undefined): void {
    const { target, examination } = participant;
    const parent = parentPid === undefined ? undefined : this.#participants.get(parentPid);
    const named = { pid: target.pid, image: target.image };
    const joined: Joined = { ...participant, parent, named, kept: new Map() };
    this.#participants.set(target.pid, joined);
    examination.askOthers = async (look) => {
      const answer = this.#othersOf(joined, look);
      this.#asked.add(answer);
      try {
        return await answer;
      } finally {
        this.#asked.delete(answer);
      }
    };
  }

  /**
   * A process has ended and was judged: its calls are kept. When the promise settles, its memory and its handle are not
   * used any more.
   */
  async leave(pid: number): Promise<void> {
    const participant = this.#participants.get(pid);
    if (participant === undefined) return;
    this.#participants.delete(pid);
    for (const each of this.#participants.values()) if (each.parent === participant) each.parent = undefined;
    const isRead = (processId: number): boolean => this.#participants.has(processId);
    const past = this.#past.filter(({ processId }) => isRead(processId));
    this.#past = [...past, ...participant.examination.readCallsElsewhere(isRead)];
    await Promise.allSettled(this.#asked);
  }

  async #othersOf(self: Joined, look: Look): Promise<OtherProcesses> {
    const { target, parent, kept } = self;
    const { pid } = target;
    const others = [...this.#participants.values()].filter((each) => each !== self);
    const { table } = look;
    if (parent !== undefined && table !== undefined)
      note(parent, await findKept(parent, self, () => table, look.point === 'at-gate'));
    for (const child of others) {
      if (child.parent !== self || child.target.exitCode() !== undefined) continue;
      const readTable = (): HandleTable => HandleTable.readProcess(child.target, child.target.pid);
      note(self, await findKept(self, child, readTable, false));
    }
    const isThisOne = (processId: number): boolean => processId === pid;
    const calls = [
      ...this.#past.filter(({ processId }) => isThisOne(processId)),
      ...others.flatMap(({ examination }) => examination.readCallsElsewhere(isThisOne)),
    ];
    const startTime = calls.length === 0 ? 0n : readStartTime(target, pid);
    return {
      ...lastCallsAbout({ pid, startTime }, calls),
      kept: [...kept.values()].flatMap((byValue) => [...byValue.values()]),
    };
  }
}

/** The last look at what a child keeps takes the place of earlier ones. */
function note({ kept }: Joined, found: readonly KeptByChild[]): void {
  for (const each of found) {
    const byValue = kept.get(each.child) ?? new Map<bigint, KeptByChild>();
    kept.set(each.child, byValue.set(each.value, each));
  }
}

/** The handles that a child inherited unnamed and has open, though its parent has closed its own. */
async function findKept(
  parent: Participant,
  child: Joined,
  readTable: () => HandleTable,
  untilEnd: boolean,
): Promise<readonly KeptByChild[]> {
  const closings = listClosedSince(parent.ledger);
  if (closings.size === 0) return [];
  const table = readTable();
  const entries = Array.from({ length: table.count }, (_, index) => index)
    .filter((index) => closings.has(table.valueAt(index)))
    .map((index) => table.entryAt(index))
    .filter(({ value, inheritable, type }) => {
      const life = child.ledger.life(value);
      const wasBornWithIt = life?.isOpen === true && life.opened?.call === undefined && life.generation === 1n;
      const expected = closings.get(value)!.record.life.objectType;
      const isSameType = expected === 'Unknown' || type === (expected === 'Socket' ? 'File' : expected);
      return inheritable && wasBornWithIt && isSameType;
    });
  const now = fileTimeNow();
  return (await describeInherited(child.target, child.target.pid, entries)).map(({ value, object }) => {
    const { record, closed } = closings.get(value)!;
    return {
      value,
      object,
      child: child.named,
      closed,
      keptMs: Math.max(0, Number(now - closed.time) / 10_000),
      untilEnd,
      openedStackId: record.life.opened?.stackId ?? 0,
    };
  });
}

/** Inherited handles of which it is certain that the parent has closed them since, by their values. */
function listClosedSince(
  ledger: CallLedger,
): ReadonlyMap<bigint, { readonly record: LedgerInheritance; readonly closed: KeptByChild['closed'] }> {
  const found = new Map<bigint, { readonly record: LedgerInheritance; readonly closed: KeptByChild['closed'] }>();
  const ambiguous = new Set<bigint>();
  for (const record of ledger.inheritances()) {
    for (const value of record.values) {
      const life = ledger.life(value);
      if (life?.isOpen !== false || life.closed === undefined || life.opened === undefined) continue;
      // Any other life of the value is not the one that was inherited.
      if (life.opened.stackId !== record.life.opened?.stackId || life.opened.time > record.started.time) continue;
      if (life.closed.time < record.started.time) continue;
      const known = found.get(value);
      if (known !== undefined && known.record.life.opened?.stackId !== life.opened.stackId) ambiguous.add(value);
      found.set(value, { record, closed: life.closed });
    }
  }
  for (const value of ambiguous) found.delete(value);
  return found;
}
