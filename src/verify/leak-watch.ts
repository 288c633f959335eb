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
 * when the last of them has ended, and the error names them all.
 */
export class LeakWatch {
  readonly #options: VerifyOptions;
  #before: Moment | undefined;
  #running = 0;
  #names: string[] = [];

  constructor(options: VerifyOptions) {
    this.#options = options;
  }

  /**
   * A test begins. Under an audit it is also a section of it: docs/test-attribution.md.
   *
   * @throws NtStatusError when the kernel does not give the handle table
   */
  async begin(name: string): Promise<void> {
    await label(begin, name);
    if (this.#running === 0) {
      openStandardStreams();
      this.#names = [];
      this.#before = readMoment(this.#options);
    }
    this.#running++;
    this.#names.push(name);
  }

  /**
   * A test has ended.
   *
   * @throws HandlesLeftError when handles are open that were not before, and no other test runs
   * @throws NtStatusError or Win32Error when Windows refuses what it takes
   */
  async end(name: string): Promise<void> {
    try {
      const left = --this.#running > 0 ? [] : await this.#settle();
      if (left.length > 0) throw new HandlesLeftError(left, this.#names);
    } finally {
      await label(end, name);
    }
  }

  async #settle(): Promise<readonly LeftHandle[]> {
    const { settleMs = SETTLE_MS_BY_DEFAULT, ignore } = this.#options;
    const before = this.#before;
    if (before === undefined) return [];
    const deadline = nowMs() + settleMs;
    for (;;) {
      const found = listNew(before, readMoment(this.#options));
      if (found.length === 0) return [];
      const isLast = nowMs() >= deadline;
      // To name handles takes longer than to count them: it is done once, unless some may be ignored.
      if (isLast || ignore !== undefined) {
        const left = await describeNew(found, ignore);
        if (isLast || left.length === 0) return left;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }
}

/** Does some work, and says which handles it has left open. */
export async function findLeft(work: () => unknown, options: VerifyOptions): Promise<readonly LeftHandle[]> {
  const watch = new LeakWatch(options);
  await watch.begin('the call');
  await work();
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
  if (process.env[MARK_VARIABLE] !== undefined) await tell(name.replaceAll(/[\r\n]+/g, ' ') || 'unnamed');
}
