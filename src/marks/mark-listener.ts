import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { CreateEventW, GetLastError } from '../ffi/kernel32.ts';
import { type AsHandle, HandleOrNull, type OwnedHandle } from '../io/index.ts';
import type { MarkCounts } from './mark-counts.ts';
import { MarkError, type MarkName } from './mark-name.ts';

const ERROR_ALREADY_EXISTS = 183;
/** What was written to a pipe just before the target ended has arrived after so long. */
const DRAIN_MS = 50;

/**
 * Takes marks and has the open handles counted at each, one count after the other.
 *
 * Marks that come while a count is under way are counted together after it ({@link Mark.iterations}); each still counts
 * as an iteration. An event that is set twice before anybody looks is one mark: that is what an event is.
 */
export class MarkListener implements Disposable {
  /** Signalled by a mark; undefined where marks come by a pipe. To be answered with {@link note}. */
  readonly event: AsHandle | undefined;
  readonly #owned: OwnedHandle | undefined;
  readonly #server: Server | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #settleMs: number;
  #counts: MarkCounts | undefined;
  #pending = 0;
  #total = 0;
  #answers: (() => void)[] = [];
  #counting: Promise<void> | undefined;
  #failure: unknown;

  private constructor(settleMs: number, event: OwnedHandle | undefined, server: Server | undefined) {
    this.#settleMs = settleMs;
    this.#owned = event;
    this.#server = server;
    this.event = event;
    server?.on('connection', (socket) => this.#serve(socket));
  }

  /**
   * Makes the event or the pipe.
   *
   * @param settleMs how long a count may wait for what an iteration left behind to be closed
   * @throws MarkError when somebody else has it
   */
  static async open({ kind, name }: MarkName, settleMs: number): Promise<MarkListener> {
    if (kind === 'event') return new MarkListener(settleMs, createNewEvent(name), undefined);
    if (await answers(name)) throw new MarkError(name, 'there is a pipe of that name', 'another name');
    const server = createServer({ allowHalfOpen: true });
    const listener = new MarkListener(settleMs, undefined, server);
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error: NodeJS.ErrnoException) => {
        reject(new MarkError(name, `a pipe of that name cannot be made (${error.code})`, 'another name'));
      });
      server.listen(name, resolve);
    });
    return listener;
  }

  /** Marks before this are lost: the target does not run yet. */
  start(counts: MarkCounts): void {
    this.#counts = counts;
  }

  /** One iteration is over. Counts at once, or when the count that is under way has ended. */
  note(): void {
    this.#pending++;
    this.#counting ??= this.#count();
  }

  /**
   * Resolves when every mark that was made has been counted.
   *
   * @throws LedgerDamagedError when the target has overwritten what was recorded
   */
  async finish(): Promise<void> {
    if (this.#server !== undefined) {
      for (let before = -1; before !== this.#total + this.#pending; ) {
        before = this.#total + this.#pending;
        await sleep(DRAIN_MS);
      }
    }
    await this.#counting;
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #count(): Promise<void> {
    try {
      while (this.#pending > 0 && this.#counts !== undefined) {
        const [iterations, answers] = [this.#pending, this.#answers];
        [this.#pending, this.#answers] = [0, []];
        await this.#counts.take(iterations, this.#settleMs);
        this.#total += iterations;
        for (const answer of answers) answer();
      }
    } catch (error) {
      this.#failure ??= error; // for finish(): nobody waits for a count
    } finally {
      this.#counting = undefined;
    }
  }

  /** Each line is a mark; the answer is a line with the number of iterations so far. */
  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let hasRest = false;
    socket.on('data', (bytes: Buffer) => {
      for (const byte of bytes) {
        if (byte === 0x0a) this.#noteLine(socket);
        hasRest = byte !== 0x0a;
      }
    });
    socket.on('end', () => {
      if (hasRest)
        this.#noteLine(socket); // a last line without its end
      else if (this.#pending === 0) socket.end();
    });
    socket.on('error', () => socket.destroy()); // it went away before the answer: its mark counts all the same
    socket.on('close', () => this.#sockets.delete(socket));
  }

  #noteLine(socket: Socket): void {
    this.#answers.push(() => {
      if (!socket.writable) return;
      socket.write(`${this.#total}\n`);
      if (socket.readableEnded) socket.end();
    });
    this.note();
  }

  [Symbol.dispose](): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server?.close();
    this.#owned?.[Symbol.dispose]();
  }
}

/**
 * Somebody serves a pipe. Wine 8 and 10 let a second one be made of its name (FILE_FLAG_FIRST_PIPE_INSTANCE is not
 * heeded), which shares its clients.
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

/** @throws MarkError when there is one of that name, whose signals would be somebody else's */
function createNewEvent(name: string): OwnedHandle {
  const raw = CreateEventW(null, false, false, name);
  const code = GetLastError();
  const event = HandleOrNull.fromRawHandle(raw).expect('create event', name);
  if (code !== ERROR_ALREADY_EXISTS) return event;
  event[Symbol.dispose]();
  throw new MarkError(name, 'there is an event of that name (ERROR_ALREADY_EXISTS 183)', 'another name');
}
