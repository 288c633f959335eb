import { writeSync } from 'node:fs';

import { DanglingBorrowError, OwnerGoneError } from './errors.ts';
import { formatRaw, type RawHandle, type RawSocket } from './raw.ts';

/** An owner that still has something to close. */
export interface LiveOwner {
  readonly kind: 'handle' | 'socket';
  readonly raw: RawHandle | RawSocket;
  /** Where the owner was made: the lines of an `Error`'s stack. Empty while stacks are off. */
  readonly stack: string;
  /** Whether the owner was garbage collected, so that the handle can no longer be closed. */
  readonly forgotten: boolean;
}

interface OwnerRecord extends LiveOwner {
  forgotten: boolean;
}

/**
 * The state of one owner: it holds a raw value until it is moved or closed.
 *
 * The classes around it decide how to close; a borrow keeps this object, not its owner, so that a forgotten owner is
 * noticed even while something borrows from it.
 */
export class Ownership<Raw extends RawHandle | RawSocket> {
  readonly #record: OwnerRecord;
  readonly #raw: Raw;
  #end: { readonly fate: string; readonly cause: Error } | undefined;

  /**
   * @param owner whose garbage collection means that the handle was forgotten; `undefined` if nothing needs to be
   * closed
   * @param maker the function of this library that was called: its callers are the stack that is remembered
   */
  constructor(kind: LiveOwner['kind'], raw: Raw, owner: object | undefined, maker: (...args: never[]) => unknown) {
    this.#raw = raw;
    const stack = owner !== undefined && stacksAreKept ? captureStack(maker) : '';
    this.#record = { kind, raw, stack, forgotten: false };
    if (owner === undefined) return;
    liveRecords.add(this.#record);
    forgottenOwners.register(owner, this.#record, this);
  }

  get isLive(): boolean {
    return this.#end === undefined;
  }

  /** @throws OwnerGoneError after the owner was closed or moved */
  get(): Raw {
    if (this.#end !== undefined) {
      throw new OwnerGoneError(this.#record.kind, this.#raw, this.#end.fate, this.#end.cause);
    }
    return this.#raw;
  }

  /** @throws DanglingBorrowError after the owner was closed or moved */
  getForBorrow(): Raw {
    if (this.#end !== undefined) {
      throw new DanglingBorrowError(this.#record.kind, this.#raw, this.#end.fate, this.#end.cause);
    }
    return this.#raw;
  }

  /**
   * Ends the ownership and hands the value out for the last time.
   *
   * @param fate follows "its owner": `was closed`
   * @throws OwnerGoneError when it had ended before
   */
  end(fate: string): Raw {
    const raw = this.get();
    this.#end = { fate, cause: new Error(`The ${this.#record.kind}'s owner ${fate} here`) };
    liveRecords.delete(this.#record);
    forgottenOwners.unregister(this);
    return raw;
  }

  /** The value for messages, in every state. */
  describe(): string {
    return this.#end === undefined ? formatRaw(this.#raw) : `${formatRaw(this.#raw)}, ${this.#end.fate}`;
  }
}

const liveRecords = new Set<OwnerRecord>();

const forgottenOwners = new FinalizationRegistry<OwnerRecord>((record) => {
  record.forgotten = true;
  reportForgotten({ ...record });
});

let reportForgotten: (owner: LiveOwner) => void = printForgotten;
let stacksAreKept = true;

/**
 * All owners in this thread that still have something to close, oldest first. Forgotten ones stay in the list, because
 * their handles stay open. Owners of NULL and of pseudo handles are never in it.
 */
export function liveOwners(): readonly LiveOwner[] {
  return Array.from(liveRecords, (record) => ({ ...record }));
}

/**
 * The records behind {@link liveOwners}: the same owner has the same record at any time.
 *
 * @internal
 */
export function liveOwnerRecords(): ReadonlySet<LiveOwner> {
  return new Set(liveRecords);
}

/**
 * Sets the handler for owners that were garbage collected without being closed or moved. Their handles are not closed,
 * because the values may belong to other owners by then. The garbage collector decides when the handler is called, and
 * whether it is called at all.
 *
 * By default a paragraph goes to file descriptor 2. `process.emitWarning` is not the default because it builds
 * `process.stderr`, which ends Node under Wine when stderr is a Unix pipe.
 *
 * @returns the handler that was set before
 */
export function setForgottenOwnerHandler(handler: (owner: LiveOwner) => void): (owner: LiveOwner) => void {
  const previous = reportForgotten;
  reportForgotten = handler;
  return previous;
}

/**
 * Sets whether owners remember the stack that made them. By default they do, for about 15 µs each. A program that makes
 * a hundred thousand owners may turn it off.
 *
 * @returns the setting before
 */
export function keepOwnerStacks(keep: boolean): boolean {
  const previous = stacksAreKept;
  stacksAreKept = keep;
  return previous;
}

function printForgotten({ kind, raw, stack }: LiveOwner): void {
  const where = stack === '' ? '' : ` Its owner was made\n${stack}`;
  writeSync(2, `A ${kind} was forgotten and stays open: ${formatRaw(raw)}.${where}\n`);
}

/**
 * The stack as text, made at once. Until an `Error` is asked for its stack, it keeps the functions and receivers of its
 * frames alive. The owner is among them, and would never be collected.
 *
 * A program may have an `Error.prepareStackTrace` of its own, which gives anything: an owner must come about all the
 * same, or the handle would be lost.
 */
function captureStack(maker: (...args: never[]) => unknown): string {
  const holder: { stack?: unknown } = {};
  try {
    Error.captureStackTrace(holder, maker);
    const { stack } = holder;
    if (typeof stack === 'string') return stack.replace(/^.*\n/, '');
    return Array.isArray(stack) ? stack.map((site) => `    at ${String(site)}`).join('\n') : '';
  } catch {
    return '';
  }
}
