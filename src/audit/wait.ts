import { WAIT_TIMEOUT } from '../ffi/constants.ts';
import { CreateEventW, SetEvent, WaitForMultipleObjectsAsync } from '../ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, HandleOrNull, type OwnedHandle } from '../io/index.ts';
import type { StartedTarget } from '../process/target.ts';

const INFINITE_MS = 0xffff_ffff;

/** How long a process that was judged at its exit may take to end before it is left to itself. */
export const END_MS = 3000;

/**
 * Waits until one of several handles is signalled; JavaScript goes on meanwhile.
 *
 * @returns the handle that is signalled, the first of them if several are
 * @throws Error when Windows cannot wait for them
 */
export async function waitForOne<Waited extends AsHandle>(handles: readonly Waited[]): Promise<Waited> {
  const index = await waitForAny(handles, INFINITE_MS);
  return handles[index] ?? cannotWait(index);
}

/**
 * The same for a limited time.
 *
 * @returns `undefined` when none is signalled by then
 * @throws Error when Windows cannot wait for them
 */
export async function waitForOneWithin<Waited extends AsHandle>(
  timeoutMs: number,
  handles: readonly Waited[],
): Promise<Waited | undefined> {
  const index = await waitForAny(handles, timeoutMs);
  return index === WAIT_TIMEOUT ? undefined : (handles[index] ?? cannotWait(index));
}

async function waitForAny(handles: readonly AsHandle[], timeoutMs: number): Promise<number> {
  const raw = BigInt64Array.from(handles, (handle) => handle.asHandle().asRawHandle());
  return await WaitForMultipleObjectsAsync(raw.length, raw, false, timeoutMs);
}

/** The call was made on another thread, which has kept the code of the failure. */
function cannotWait(result: number): never {
  throw new Error(`Cannot wait for the target: WaitForMultipleObjects returned 0x${result.toString(16)}.`);
}

/** Waits for the end of a target that has nothing left to do: an abort ends it at once. */
export async function waitForEnd(target: StartedTarget, abort?: AbortEvent): Promise<void> {
  const ended = target.asHandle();
  while ((await waitForOne(abort === undefined ? [ended] : [ended, abort])) !== ended) target.terminate();
}

/**
 * Does work in small pieces until something else has happened; what is left then is not done.
 *
 * @param waiting settles when the other thing has happened; whoever waits for it hears of its failure
 */
export async function workMeanwhile(waiting: Promise<unknown>, work: Iterable<unknown>): Promise<void> {
  let isOver = false;
  const end = (): void => {
    isOver = true;
  };
  void waiting.then(end, end);
  for (const _piece of work) {
    await new Promise(setImmediate);
    if (isOver) return;
  }
}

/** An abort signal as something that can be waited for beside a process. */
export class AbortEvent implements AsHandle, Disposable {
  readonly #event: OwnedHandle;
  readonly #signal: AbortSignal | undefined;
  readonly #set = () => {
    SetEvent(this.#event.asRawHandle());
  };

  constructor(signal: AbortSignal | undefined) {
    const raw = CreateEventW(null, false, signal?.aborted ?? false, null);
    this.#event = HandleOrNull.fromRawHandle(raw).expect('create an event', '');
    this.#signal = signal;
    signal?.addEventListener('abort', this.#set);
  }

  asHandle(): BorrowedHandle {
    return this.#event.asHandle();
  }

  [Symbol.dispose](): void {
    this.#signal?.removeEventListener('abort', this.#set);
    this.#event[Symbol.dispose]();
  }
}
