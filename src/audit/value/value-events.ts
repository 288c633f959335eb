import type { CallLedger, LedgerCall, LedgerLife, LedgerMisuse } from '../../call-ledger.ts';

/** A ledger that keeps the earlier lives of its values. */
export interface LifeLedger extends Pick<CallLedger, 'life' | 'misuses'> {
  /** The lives that a value had before `life`, the latest first, as far as they are kept. */
  earlierLives(value: bigint, life: LedgerLife): readonly LedgerLife[];
}

/** A call that has to do with a handle value. */
export interface ValueEvent {
  /** Words that may follow the value: `opened`, `closed again`. */
  readonly what: string;
  /** How often the value had been opened by then. */
  readonly generation: bigint;
  /** The type of the object in that life. */
  readonly objectType: string;
  /** For a mistake, the first such call. */
  readonly call: LedgerCall;
  /** How often the mistake was made from the same stacks so far, also with other values. */
  readonly count?: number;
}

/**
 * The record of a value: the openings and closes of its last lives, and the mistakes that were made with it, in the
 * order in which they were made. It is read while the target may write: a call that is not written whole is left out.
 */
export function listValueEvents(ledger: LifeLedger, value: bigint): readonly ValueEvent[] {
  const last = ledger.life(value);
  const lives = last === undefined ? [] : [last, ...ledger.earlierLives(value, last)];
  const events = lives.flatMap(({ generation, objectType, opened, closed }): Ranked[] => {
    const life = { generation, objectType };
    return [
      ...(opened?.call === undefined ? [] : [{ ...life, what: 'opened', call: opened, rank: 0 }]),
      ...(closed === undefined ? [] : [{ ...life, what: 'closed', call: closed, rank: 2 }]),
    ];
  });
  for (const misuse of ledger.misuses()) if (misuse.values.includes(value)) events.push(describeMisuse(misuse));
  // Several calls may have the same time, that of a clock tick; their lives are certain.
  events.sort((a, b) => compare(a.generation, b.generation) || a.rank - b.rank || compare(a.call.time, b.call.time));
  return events.map(({ rank: _rank, ...event }) => event);
}

interface Ranked extends ValueEvent {
  /** The place of such a call in a life: a mistake comes before the close, or after it. */
  readonly rank: number;
}

function describeMisuse({ kind, life, offending, count }: LedgerMisuse): Ranked {
  const { generation, objectType, isOpen } = life;
  return { what: spellMisuse(kind, life), generation, objectType, call: offending, count, rank: isOpen ? 1 : 3 };
}

function spellMisuse(kind: LedgerMisuse['kind'], { isOpen, generation }: LedgerLife): string {
  if (kind === 'closed-as-handle') return 'closed by a function for plain handles';
  if (kind === 'wrong-closer') return 'given to a function that closes other objects';
  if (isOpen) return kind === 'close' ? 'refused to a close' : 'refused to a use';
  if (generation === 0n) return kind === 'close' ? 'closed, and never was open' : 'used, and never was open';
  return kind === 'close' ? 'closed again' : 'used after its close';
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
