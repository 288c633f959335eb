import type { CallLedger, LedgerInheritance } from '../../call-ledger.ts';
import type { CallOfOther, KeptByChild, OtherProcesses } from '../../evidence/sources.ts';
import { HandleTable } from '../../handles/enumerate.ts';
import { describeInherited } from '../../handles/handles-from-parent.ts';
import { fileTimeNow } from '../../process/file-time.ts';
import type { Target } from '../../process/target.ts';
import type { CallElsewhere, Examination, Look } from '../examination.ts';

/** One process under audit, as the others see it. */
interface Participant {
  readonly target: Target;
  readonly parentPid: number | undefined;
  readonly ledger: CallLedger;
  readonly examination: Examination;
}

/**
 * The dealings of processes that are audited together: handles that one opened or closed in another, and handles that a
 * child keeps although its parent has closed its own.
 */
export class Exchange {
  readonly #participants = new Map<number, Participant>();
  /** Calls of processes that are not read any more. */
  #past: readonly CallElsewhere[] = [];
  /** By the parent's process id. */
  readonly #kept = new Map<number, KeptByChild[]>();
  /** Questions that are being answered, from the memory of any participant. */
  readonly #asked = new Set<Promise<unknown>>();

  /** A process is audited from now on. */
  join(participant: Participant): void {
    const { target, examination } = participant;
    this.#participants.set(target.pid, participant);
    examination.askOthers = async (look) => {
      const answer = this.#othersOf(participant, look);
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
    const isRead = (processId: number): boolean => this.#participants.has(processId);
    const past = this.#past.filter(({ processId }) => isRead(processId));
    this.#past = [...past, ...participant.examination.readCallsElsewhere(isRead)];
    await Promise.allSettled(this.#asked);
  }

  async #othersOf(self: Participant, look: Look): Promise<OtherProcesses> {
    const { pid } = self.target;
    const others = [...this.#participants.values()].filter((each) => each !== self);
    const parent = others.find(({ target }) => target.pid === self.parentPid);
    if (parent !== undefined && look.table !== undefined)
      this.#note(parent, await findKept(parent, self, look.table, look.point === 'at-gate'));
    for (const child of others) {
      if (child.parentPid !== pid || child.target.exitCode() !== undefined) continue;
      this.#note(self, await findKept(self, child, HandleTable.readProcess(child.target, child.target.pid), false));
    }
    const opened = new Map<bigint, CallOfOther>();
    const closed = new Map<bigint, CallOfOther>();
    const isThisOne = (processId: number): boolean => processId === pid;
    for (const { kind, value, call } of [
      ...this.#past.filter(({ processId }) => isThisOne(processId)),
      ...others.flatMap(({ examination }) => examination.readCallsElsewhere(isThisOne)),
    ]) {
      const calls = kind === 'opened' ? opened : closed;
      if (call.time >= (calls.get(value)?.time ?? 0n)) calls.set(value, call);
    }
    return { opened, closed, kept: this.#kept.get(pid) ?? [] };
  }

  /** The last look at what a child keeps takes the place of earlier ones. */
  #note({ target }: Participant, found: readonly KeptByChild[]): void {
    const known = this.#kept.get(target.pid) ?? [];
    const isNews = ({ child, value }: KeptByChild): boolean =>
      found.some((each) => each.child.pid === child.pid && each.value === value);
    if (found.length > 0) this.#kept.set(target.pid, [...known.filter((each) => !isNews(each)), ...found]);
  }
}

/** The handles that a child inherited unnamed and has open, though its parent has closed its own. */
async function findKept(
  parent: Participant,
  child: Participant,
  table: HandleTable,
  untilEnd: boolean,
): Promise<readonly KeptByChild[]> {
  const closings = listClosedSince(parent.ledger);
  if (closings.size === 0) return [];
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
      child: { pid: child.target.pid, image: child.target.image },
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
