import { setTimeout as sleep } from 'node:timers/promises';

import type { AuditorEvents } from '../../agent/inject/auditor-events.ts';
import type { Recording } from '../../agent/inject/recording.ts';
import type { StopLine } from '../../agent/inject/stop-line.ts';
import type { StopRequest } from '../../agent/ledger/stop-requests.ts';
import type { Finding, Report } from '../../model.ts';
import type { Target } from '../../process/target.ts';
import { holdsLoaderLock, isDebugged } from './thread-facts.ts';
import type { Examination } from '../examination.ts';
import type { AuditOptions } from '../options.ts';
import { Dumps } from './dumps.ts';
import { countsOpenings, findLeak, findMisuse, isOf, type Judge, mayBeOf } from './stop-finding.ts';
import type { StoppedThread, StopOptions } from './stop-options.ts';
import { listWatches, parseStopOrders, type StopOrder } from './stop-orders.ts';

/** How often the targets' entries are looked at. */
const LOOK_MS = 5;
/** How often a held thread's process is looked at: it may have ended, or have got a debugger. */
const LOOK_HELD_MS = 100;

/** A process whose threads may be stopped. */
interface Participant {
  readonly target: Target;
  readonly recording: Recording;
  readonly examination: Examination;
  readonly judge: Judge;
}

/** A participant, and the answers to its threads that are under way. */
interface Joined extends Participant {
  readonly answers: Set<Promise<void>>;
  readonly over: AbortController;
}

/**
 * Stops threads of targets at misuses and openings, once a site: they are held, or go on by a breakpoint where a
 * debugger is attached, and minidumps are written.
 *
 * A thread asks at the end of its call and waits for the answer (agent/emit/hooks/stop-there.ts). Whether its misuse
 * is one to stop at is found out by the rules and suppressions of the report.
 */
export class Stops implements AsyncDisposable {
  readonly #line: StopLine;
  readonly #options: StopOptions;
  readonly #breakOn: readonly StopOrder[];
  readonly #dumpOn: readonly StopOrder[];
  readonly #watches: readonly StopOrder[];
  readonly #dumps: Dumps;
  readonly #joined = new Map<number, Joined>();
  /** `break <site>` and `dump <site>` for each site where that was done. */
  readonly #done = new Set<string>();
  /** No event calls: to wait for one would take one of libuv's few threads. */
  readonly #timer: NodeJS.Timeout;
  /** One finding is looked for at a time. */
  #finding: Promise<unknown> = Promise.resolve();
  #isClosed = false;
  #isDisposed = false;

  /**
   * @param line belongs to the caller
   * @throws StopOrderError or SuppressionError for orders that are none
   */
  constructor(line: StopLine, options: StopOptions) {
    this.#line = line;
    this.#options = options;
    const { breakOn, dumpOn, dumpDirectory = '.' } = options;
    this.#breakOn = breakOn === undefined ? [] : parseStopOrders(breakOn);
    this.#dumpOn = dumpOn === undefined ? [] : parseStopOrders(dumpOn);
    this.#watches = listWatches([...this.#breakOn, ...this.#dumpOn]);
    this.#dumps = new Dumps(dumpDirectory);
    this.#timer = setInterval(() => this.#look(), LOOK_MS);
  }

  /** Threads of a process may be stopped from now on. */
  join(participant: Participant): void {
    const { target, recording } = participant;
    this.#watches.forEach(({ count }, index) => recording.ledger.stops.watch(index + 1, count));
    this.#joined.set(target.pid, { ...participant, answers: new Set(), over: new AbortController() });
  }

  /** Threads of a process are not stopped any more. When the promise settles, nothing of the process is used. */
  async leave(pid: number): Promise<void> {
    const joined = this.#joined.get(pid);
    if (joined === undefined) return;
    joined.over.abort();
    await Promise.all(joined.answers);
    this.#joined.delete(pid);
  }

  /** A report whose findings name their minidumps. */
  nameDumps<Named extends Pick<Report, 'findings'>>(report: Named): Named {
    return { ...report, findings: this.#dumps.name(report.findings) };
  }

  /** Lets all threads go on. From now on none is stopped. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearInterval(this.#timer);
    this.#line.close();
    for (const { over } of this.#joined.values()) over.abort();
  }

  #look(): void {
    for (const joined of this.#joined.values()) {
      if (joined.over.signal.aborted) continue;
      for (const request of joined.recording.ledger.stops.list()) {
        const answer = this.#answer(joined, request).finally(() => joined.answers.delete(answer));
        joined.answers.add(answer);
      }
    }
  }

  /** Never rejects: where no finding can be made, the thread goes on, and the report says why. */
  async #answer(joined: Joined, request: StopRequest): Promise<void> {
    const { stops } = joined.recording.ledger;
    let how: 'pass' | 'break' = 'pass';
    try {
      if (request.about.kind === 'stack')
        stops.see(request.about.stackId, this.#watchOf(joined, request.about.stackId));
      else how = await this.#stop(joined, request, request.about);
    } catch {
      // The ledger is damaged, or the target has ended: its judgement will find the same.
    } finally {
      stops.answer(request.index, how);
    }
  }

  /** The number of the watch that counts what a stack opens; 0 for none. */
  #watchOf({ examination, recording }: Joined, stackId: number): number {
    const stack = examination.nameStack(stackId);
    const type = recording.ledger.typeOpenedBy(stackId);
    return 1 + this.#watches.findIndex((order) => countsOpenings(order, stack, type));
  }

  async #stop(
    joined: Joined,
    request: StopRequest,
    about: Exclude<StopRequest['about'], { kind: 'stack' }>,
  ): Promise<'pass' | 'break'> {
    const { target, over } = joined;
    const chosen =
      about.kind === 'misuse' ? await this.#chooseMisuse(joined, about) : await this.#chooseLeak(joined, about);
    if (chosen === undefined || over.signal.aborted) return 'pass';
    const { pid, image } = target;
    const { threadId, index } = request;
    const hasLoaderLock = holdsLoaderLock(target, threadId);
    const thread: StoppedThread = { pid, threadId, image, finding: chosen.finding, hasLoaderLock };
    if (chosen.dumps) await this.#dump(target, thread, request);
    if (!chosen.breaks || over.signal.aborted) return 'pass';
    joined.recording.ledger.stops.hold(index);
    if (!isDebugged(target)) await this.#hold(joined, thread);
    if (!isDebugged(target)) return 'pass';
    this.#options.onNews?.(thread, { kind: 'breaks' });
    return 'break';
  }

  async #chooseMisuse(
    { examination, judge }: Joined,
    { misuse }: Extract<StopRequest['about'], { kind: 'misuse' }>,
  ): Promise<Chosen | undefined> {
    if (![...this.#breakOn, ...this.#dumpOn].some((order) => mayBeOf(order, misuse))) return undefined;
    const finding = await this.#inTurn(() => findMisuse(examination, misuse, judge));
    if (finding === undefined) return undefined;
    const isAsked = (orders: readonly StopOrder[]): boolean => orders.some((order) => isOf(order, finding));
    return this.#choose(finding, finding.fingerprint, isAsked);
  }

  async #chooseLeak(
    { examination, judge, recording }: Joined,
    { watch, stackId }: Extract<StopRequest['about'], { kind: 'openings' }>,
  ): Promise<Chosen | undefined> {
    const order = this.#watches[watch - 1];
    if (order === undefined) return undefined;
    const leak = await this.#inTurn(() => findLeak(examination, order, judge));
    const type = recording.ledger.typeOpenedBy(stackId);
    const finding: StoppedThread['finding'] = {
      rule: 'leak',
      message: `${order.count} ${type} handle${order.count === 1 ? ' is' : 's are'} open that ${order.text} counts.`,
      fingerprint: leak?.fingerprint ?? '',
      stacks: { opened: examination.nameStack(stackId) },
    };
    return this.#choose(finding, order.text, (orders) => orders.some(({ text }) => text === order.text));
  }

  /** The part of what is asked for that has not been done at a site. */
  #choose(
    finding: StoppedThread['finding'],
    site: string,
    isAsked: (orders: readonly StopOrder[]) => boolean,
  ): Chosen | undefined {
    const isFirst = (what: string): boolean => {
      const [before, { size }] = [this.#done.size, this.#done.add(`${what} ${site}`)];
      return size > before;
    };
    const breaks = isAsked(this.#breakOn) && isFirst('break');
    const dumps = isAsked(this.#dumpOn) && isFirst('dump');
    return breaks || dumps ? { finding, breaks, dumps } : undefined;
  }

  async #inTurn(find: () => Promise<Finding | undefined>): Promise<Finding | undefined> {
    const found = this.#finding.then(find);
    this.#finding = found.catch(() => undefined);
    return await found;
  }

  async #dump(target: Target, thread: StoppedThread, { places }: StopRequest): Promise<void> {
    try {
      const path = await this.#dumps.write(target, thread, places);
      if (path !== undefined) this.#options.onNews?.(thread, { kind: 'dumped', path });
    } catch (error) {
      this.#options.onNews?.(thread, { kind: 'dump-failed', error });
    }
  }

  /** Resolves when the thread may go on, its process has ended, or a debugger is attached. */
  async #hold({ target, over }: Joined, thread: StoppedThread): Promise<void> {
    const isOver = new AbortController();
    let mayGoOn = false;
    const note = (): void => {
      mayGoOn = true;
    };
    const held = this.#options.hold(thread, isOver.signal).then(note, note);
    while (!mayGoOn && !over.signal.aborted && target.exitCode() === undefined && !isDebugged(target))
      await Promise.race([held, sleep(LOOK_HELD_MS)]);
    isOver.abort();
    await held;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.close();
    await Promise.all([...this.#joined.values()].flatMap(({ answers }) => [...answers]));
    await this.#dumps[Symbol.asyncDispose]();
  }
}

/** The stops that are asked for, if there are any. The caller disposes of them. */
export function openStops({ stops: line }: AuditorEvents, { stops }: Pick<AuditOptions, 'stops'>): Stops | undefined {
  return line === undefined || stops === undefined ? undefined : new Stops(line, stops);
}

/** The work at one stop. */
interface Chosen {
  readonly finding: StoppedThread['finding'];
  readonly breaks: boolean;
  readonly dumps: boolean;
}
