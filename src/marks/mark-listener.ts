import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import type { AsHandle, OwnedHandle } from '../io/index.ts';
import { nowMs } from '../process/clock.ts';
import { systemTime } from './system-time.ts';
import type { MarkCounts } from './mark-counts.ts';
import { MarkError, type MarkName } from './mark-name.ts';
import { createNewEvent } from './new-event.ts';
import { LineReader } from './line-reader.ts';
import { parseSectionLine, type SectionLine, type SectionScope } from './section-line.ts';
import { SectionLeaks } from './section-leaks.ts';
import { type Section, SectionLog } from './section-log.ts';

/** Bytes that the target wrote to a pipe just before it ended arrive within this time. */
const DRAIN_MS = 50;
/** A last line without its end counts when the pipe ends, which may take so long on a busy machine. */
const LAST_LINE_MS = 2000;
/** How long the last marks of a target are taken that has ended or stands still: other processes may mark on. */
const LAST_MARKS_MS = 30_000;
/** When so many marks wait for their count, no more are read: a program may write them faster than they are counted. */
const PENDING_MAX = 4096;
/** A program with so many unread answers gets no more until it reads them. */
const UNREAD_SIZE_BYTES_MAX = 1 << 20;
/** A client that does not ask for so long how a section was judged is not going to, however busy the machine is. */
const ASK_MS = 10_000;
/** Programs that may have the pipe open at once; each takes memory here. */
const CONNECTIONS_MAX = 1024;

/** How marks and sections are taken. */
interface ListenerOptions {
  /** How long a count may wait until the handles of an iteration or a section are closed. */
  readonly settleMs: number;
  /** Whether it is noted what sections leave open at their ends. */
  readonly leaksBySection?: boolean;
}

/**
 * Receives marks and has the open handles counted at each, one count after the other.
 *
 * Marks that arrive during a count are counted together after it ({@link Mark.iterations}); each still counts as an
 * iteration. An event that is set twice before the auditor looks is one mark: that is what an event is.
 */
export class MarkListener implements Disposable {
  /** A mark signals it, and the caller then calls {@link note}; undefined where marks arrive by a pipe. */
  readonly event: AsHandle | undefined;
  readonly #owned: OwnedHandle | undefined;
  readonly #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  /** Those whose last line has no end yet. */
  readonly #unfinished = new Set<Socket>();
  readonly #settleMs: number;
  /** The clock makes the marks, after so many milliseconds each; absent where the program does. */
  readonly everyMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  #lastNoteMs = 0;
  #counts: MarkCounts | undefined;
  #onCounted: (() => void) | undefined;
  #pending = 0;
  #total = 0;
  /** Lines that came by the pipe. */
  #lines = 0;
  /** Whether lines are taken. */
  #isOpen = true;
  /** How many answers each socket is owed in all. */
  readonly #owed = new Map<Socket, number>();
  /** How many answers each socket waits for. */
  #answers = new Map<Socket, number>();
  /** Sockets that are not read until the marks so far have been counted. */
  readonly #paused = new Set<Socket>();
  #counting: Promise<void> | undefined;
  /** Ends of sections that are being judged. */
  readonly #ending = new Set<Promise<void>>();
  /** Begin the judgement of those whose clients have yet to close the pipe, by the scopes of these. */
  readonly #waiting = new Map<string, readonly (() => void)[]>();
  #failure: unknown;
  /** The sections of the target's work; absent where marks do not arrive by a pipe. */
  readonly sections: SectionLog | undefined;
  /** The handles that they left open at their ends; absent where that is not judged. */
  readonly left: SectionLeaks | undefined;

  private constructor(
    { settleMs, leaksBySection = false }: ListenerOptions,
    event?: OwnedHandle,
    server?: Server,
    everyMs?: number,
  ) {
    this.#settleMs = settleMs;
    this.everyMs = everyMs;
    if (server !== undefined) this.sections = new SectionLog(systemTime);
    if (leaksBySection && this.sections !== undefined) this.left = new SectionLeaks(this.sections);
    this.#owned = event;
    this.#server = server;
    this.event = event;
    server?.on('connection', (socket) => this.#serve(socket));
  }

  /**
   * Makes the event or the pipe.
   *
   * @throws MarkError when another process has one of that name, or sections are wanted and it is an event
   */
  static async open({ kind, name }: MarkName, options: ListenerOptions): Promise<MarkListener> {
    if (kind === 'event') {
      if (options.leaksBySection !== true) return new MarkListener(options, createNewEvent(name));
      throw new MarkError(
        name,
        'an event cannot say which section begins',
        `a pipe: pipe:${name.replace(/^.*\\/, '')}`,
      );
    }
    if (await answers(name)) throw new MarkError(name, 'another process has a pipe of that name', 'another name');
    const server = createServer({ allowHalfOpen: true });
    server.maxConnections = CONNECTIONS_MAX;
    const listener = new MarkListener(options, undefined, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new MarkError(name, `a pipe of that name cannot be made (${error.code})`, 'another name'));
      });
      server.listen(name, resolve);
    });
    return listener;
  }

  /** Counts after every interval instead of after iterations. */
  static every(everyMs: number, settleMs: number): MarkListener {
    return new MarkListener({ settleMs }, undefined, undefined, everyMs);
  }

  /**
   * Begins to count. Marks of before, which a process that is attached to may have made, are counted together now.
   *
   * @param onCounted called after each count
   */
  start(counts: MarkCounts, onCounted?: () => void): void {
    this.#counts = counts;
    this.#onCounted = onCounted;
    if (this.#pending > 0) this.#counting ??= this.#count(counts);
    if (this.everyMs === undefined) return;
    this.#lastNoteMs = nowMs();
    this.#timer = setInterval(() => this.note(), this.everyMs);
  }

  /** One iteration is over. Counts at once, or after the count that is under way. */
  note(): void {
    this.#lastNoteMs = nowMs();
    this.#pending++;
    if (this.#counts !== undefined) this.#counting ??= this.#count(this.#counts);
  }

  /**
   * Resolves when every mark so far has been counted. No mark by the pipe is taken any more.
   *
   * @param goesOn whether the target runs, and may mark on
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  async finish(goesOn = false): Promise<void> {
    clearInterval(this.#timer);
    // The last interval ends with the audit, and its timer may be about to say so.
    if (this.everyMs !== undefined && nowMs() - this.#lastNoteMs > this.everyMs / 2) this.note();
    if (this.#server !== undefined) await this.#takeLast(nowMs() + (goesOn ? LAST_LINE_MS : LAST_MARKS_MS));
    await this.#counting;
    await this.#judgeWaiting();
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Takes the lines that are on their way. Those who write on are not waited for. */
  async #takeLast(endMs: number): Promise<void> {
    const latestMs = nowMs() + LAST_LINE_MS;
    const mayHaveMore = (): boolean => this.#unfinished.size > 0 && nowMs() < latestMs;
    for (let before = -1; nowMs() < endMs && (before !== this.#lines || mayHaveMore()); ) {
      before = this.#lines;
      // Then the paused sockets are read again.
      await Promise.race([this.#counting, sleep(Math.max(endMs - nowMs(), 0), undefined, { ref: false })]);
      await this.#judgeWaiting();
      await sleep(DRAIN_MS);
    }
    this.#isOpen = false;
  }

  async #count(counts: MarkCounts): Promise<void> {
    try {
      while (this.#pending > 0) {
        const [iterations, answers] = [this.#pending, this.#answers];
        [this.#pending, this.#answers] = [0, new Map()];
        await counts.take(iterations, this.#settleMs);
        this.#total += iterations;
        this.#onCounted?.();
        for (const [socket, count] of answers) this.#write(socket, `${this.#total}\n`, count);
        this.#resume();
      }
    } catch (error) {
      this.#failure ??= error; // finish() throws it: no caller waits for a count
    } finally {
      this.#counting = undefined;
    }
  }

  /** Each line is a mark or speaks of a section; the answer is a line. */
  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    const lines = new LineReader((text) => {
      if (this.#isOpen) this.#takeLine(socket, text);
    });
    socket.on('data', (bytes: Buffer) => {
      lines.take(bytes);
      if (lines.hasRest) this.#unfinished.add(socket);
      else this.#unfinished.delete(socket);
      if (this.#pending + this.#ending.size < PENDING_MAX) return;
      socket.pause();
      this.#paused.add(socket);
    });
    socket.on('end', () => {
      this.#unfinished.delete(socket);
      lines.end(); // a last line without its end
      this.#endIfDone(socket);
    });
    socket.on('error', () => socket.destroy()); // the program went away before the answer: its mark still counts
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#unfinished.delete(socket);
      this.#paused.delete(socket);
      this.#owed.delete(socket);
    });
  }

  #resume(): void {
    for (const socket of this.#paused) socket.resume();
    this.#paused.clear();
  }

  #takeLine(socket: Socket, text: string): void {
    this.#lines++;
    this.#owed.set(socket, (this.#owed.get(socket) ?? 0) + 1);
    const line = this.sections === undefined ? undefined : parseSectionLine(text);
    if (line === undefined) this.#noteLine(socket);
    else this.#takeSection(socket, line);
  }

  /**
   * A section begins or ends at once. The answer waits for the marks before it. Its client has opened the pipe within
   * the section that it ends: `wait` makes it close the pipe, and come again with `sync`. Then it is judged.
   */
  #takeSection(socket: Socket, { verb, name, scope }: SectionLine): void {
    const sections = this.sections!;
    if (verb === 'sync') {
      const waiting = this.#waiting.get(spellScope(scope)) ?? [];
      for (const judge of waiting) judge();
      return this.#answerLater(socket, `${sections.begun}\n`, [...this.#ending]);
    }
    const taken = sections.take({ verb, name, scope });
    const isRefused = typeof taken === 'string';
    const ended = isRefused ? undefined : taken.ended;
    const isJudged = ended !== undefined && this.left !== undefined;
    if (isJudged) this.#judgeEnd(ended, spellScope(scope), this.left);
    const answer = isRefused ? `! ${taken}` : `${sections.begun}${isJudged ? ' wait' : ''}`;
    this.#answerLater(socket, `${answer}\n`, []);
  }

  /** Judges the sections whose clients are not going to ask: the target stands still, or has ended. */
  async #judgeWaiting(): Promise<void> {
    for (const judge of [...this.#waiting.values()].flat()) judge();
    await Promise.all(this.#ending);
  }

  #judgeEnd(section: Section, scope: string, left: SectionLeaks): void {
    const asked = new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, ASK_MS);
      const judge = (): void => {
        clearTimeout(timer);
        resolve();
      };
      this.#waiting.set(scope, [...(this.#waiting.get(scope) ?? []), judge]);
    });
    const judging = asked
      .then(async () => {
        this.#waiting.delete(scope);
        await left.judge(section, this.#settleMs);
      })
      .catch((error: unknown) => {
        this.#failure ??= error; // finish() throws it
      })
      .then(() => {
        this.#ending.delete(judging);
        if (this.#ending.size === 0 && this.#counting === undefined) this.#resume();
      });
    this.#ending.add(judging);
  }

  #answerLater(socket: Socket, answer: string, awaited: readonly Promise<void>[]): void {
    if (awaited.length === 0 && this.#counting === undefined) return this.#write(socket, answer, 1);
    void Promise.all([...awaited, this.#counting]).then(() => this.#write(socket, answer, 1));
  }

  #noteLine(socket: Socket): void {
    this.#answers.set(socket, (this.#answers.get(socket) ?? 0) + 1);
    this.note();
  }

  #write(socket: Socket, answer: string, count: number): void {
    this.#owed.set(socket, (this.#owed.get(socket) ?? 0) - count);
    if (!socket.writable) return;
    if (socket.writableLength < UNREAD_SIZE_BYTES_MAX) socket.write(answer.repeat(count));
    this.#endIfDone(socket);
  }

  #endIfDone(socket: Socket): void {
    if (socket.readableEnded && (this.#owed.get(socket) ?? 0) <= 0) socket.end();
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
    this.#owned?.[Symbol.dispose]();
  }
}

function spellScope({ threadId, processId }: SectionScope): string {
  return `${threadId ?? ''} ${processId ?? ''}`;
}

/**
 * Whether a process serves a pipe of this name. Wine 8 and 10 ignore FILE_FLAG_FIRST_PIPE_INSTANCE: they make a second
 * pipe of the name, and the two share the clients.
 */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path, () => {
      probe.destroy();
      resolve(true);
    });
    probe.on('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ENOENT'));
  });
}
