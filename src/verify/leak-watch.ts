import { isWine } from '../ffi/ntdll.ts';
import { begin, end, MARK_VARIABLE } from '../marks/mark.ts';
import { nowMs } from '../process/clock.ts';
import { HandlesLeftError } from './handles-left-error.ts';
import { describeNew, listNew, type Moment, readMoment } from './left-handles.ts';
import type { LeftHandle, VerifyOptions } from './options.ts';

const SETTLE_MS_BY_DEFAULT = 1000;
/** How often it is looked again while handles may yet be closed. */
const POLL_MS = 20;

/**
 * Compares the handles of this process before and after tests.
 *
 * Tests that overlap cannot be told apart, for a handle does not say which test has opened it. They are judged together
 * when the last of them has ended, and the error names them all. A test overlaps with another until that one is judged:
 * one that begins while handles of the other may yet be closed takes part.
 */
export class LeakWatch {
  readonly #options: VerifyOptions;
  /** The handles before the tests that are to be judged together; absent where there are none. */
  #before: Moment | undefined;
  /** The tests that are to be judged together. */
  #names: string[] = [];
  /** Tests that have begun, and whose sections have not ended. */
  readonly #running: string[] = [];
  /** Counts what makes a look at the handles stale: a test that begins, and a later look. */
  #turn = 0;
  #judging = 0;
  #deadline = 0;
  #abandoned: Promise<void> = Promise.resolve();

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /**
   * A test begins. Under an audit it is also a section of it: docs/test-attribution.md.
   *
   * When it fails, the test has not begun: {@link end} may be called or not.
   *
   * @throws NtStatusError when the kernel does not give the handle table
   */
  async begin(name: string): Promise<void> {
    this.#turn++;
    // An old moment would make what was opened between tests a leak of the next.
    if (this.#running.length === 0 && this.#judging === 0) this.#forget();
    this.#running.push(name);
    this.#names.push(name);
    let isSection = false;
    try {
      await this.#abandoned;
      await label(begin, name);
      isSection = true;
      openStandardStreams();
      this.#before ??= readMoment(this.#options);
    } catch (error) {
      if (isSection) await label(end, name).catch(() => {}); // the first error says more
      removeOne(this.#running, name);
      removeOne(this.#names, name);
      throw error;
    }
  }

  /**
   * A test has ended. Runners call it for a test that could not begin, too.
   *
   * @throws HandlesLeftError when handles are open that were not before, and no other test runs
   * @throws NtStatusError or Win32Error when Windows refuses what it takes
   */
  async end(name: string): Promise<void> {
    this.#deadline = nowMs() + (this.#options.settleMs ?? SETTLE_MS_BY_DEFAULT);
    try {
      await this.#abandoned;
      if (this.#running.includes(name)) await this.#endSection(name);
    } finally {
      removeOne(this.#running, name);
      if (this.#running.length === 0) await this.#judge();
    }
  }

  /** A test is over, and is not to be judged. Nothing is done when it has ended. */
  async abandon(name: string): Promise<void> {
    if (!removeOne(this.#running, name)) return;
    // Its pipe to the auditor must be closed before the next test notes its moment.
    const ended = label(end, name).catch(() => {}); // an auditor that is gone has no section to end
    this.#abandoned = Promise.all([this.#abandoned, ended]).then(() => {});
    await ended;
  }

  /** The section of a test that runs alone lasts while its handles may yet be closed. */
  async #endSection(name: string): Promise<void> {
    if (process.env[MARK_VARIABLE] === undefined) return;
    try {
      if (this.#running.length === 1) await this.#settle();
    } finally {
      await label(end, name);
    }
  }

  /** Judges the tests so far, unless another one begins meanwhile: then it is for that one to do. */
  async #judge(): Promise<void> {
    const turn = this.#turn + 1; // the one that #settle() takes
    this.#judging++;
    try {
      const left = await this.#settle();
      if (left.length > 0 && this.#turn === turn) throw new HandlesLeftError(left, this.#names);
    } finally {
      this.#judging--;
      if (this.#turn === turn) this.#forget();
    }
  }

  #forget(): void {
    this.#before = undefined;
    this.#names = [];
  }

  /** The handles that are left when time is up. They say nothing when another test has begun meanwhile. */
  async #settle(): Promise<readonly LeftHandle[]> {
    const { ignore } = this.#options;
    const before = this.#before;
    const turn = ++this.#turn;
    while (before !== undefined && this.#turn === turn) {
      const found = listNew(before, readMoment(this.#options));
      if (found.length === 0) return [];
      const isLast = nowMs() >= this.#deadline;
      // To name handles takes longer than to count them: it is done once, unless some may be ignored.
      if (isLast || ignore !== undefined) {
        const left = await describeNew(found, ignore);
        if (isLast || left.length === 0) return left;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    return [];
  }
}

/**
 * Does some work, and says which handles it has left open.
 *
 * @throws whatever the work throws; it is not judged then
 */
export async function findLeft(work: () => unknown, options: VerifyOptions): Promise<readonly LeftHandle[]> {
  const watch = new LeakWatch(options);
  await watch.begin('the call');
  try {
    await work();
  } catch (error) {
    await watch.abandon('the call');
    throw error;
  }
  try {
    await watch.end('the call');
    return [];
  } catch (error) {
    if (error instanceof HandlesLeftError) return error.handles;
    throw error;
  }
}

/**
 * Node.js opens handles for its streams when they are first used, and keeps them: they belong to no test. On Wine that
 * would end Node.js where a stream is a pipe of Linux, so they are left alone there.
 */
function openStandardStreams(): void {
  if (!isWine) for (const name of ['stdout', 'stderr'] as const) void process[name];
}

async function label(tell: (name: string) => Promise<number>, name: string): Promise<void> {
  if (process.env[MARK_VARIABLE] !== undefined) await tell(name.replaceAll(/[\r\n]+/g, ' ').trim() || 'unnamed');
}

/** @returns whether there was one */
function removeOne(names: string[], name: string): boolean {
  const index = names.indexOf(name);
  if (index >= 0) names.splice(index, 1);
  return index >= 0;
}
