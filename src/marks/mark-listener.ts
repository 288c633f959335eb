import { connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

import { CreateEventW, GetLastError } from '../ffi/kernel32.ts';
import { type AsHandle, HandleOrNull, type OwnedHandle } from '../io/index.ts';
import type { MarkCounts } from './mark-counts.ts';
import { MarkError, type MarkName } from './mark-name.ts';

const ERROR_ALREADY_EXISTS = 183;
/** What was written to a pipe just before the target ended has arrived after so long. */
const DRAIN_MS = 50;
/** More marks than these are not read before those are counted: a program may write them faster than that goes. */
const PENDING_MAX = 0x1_0000;
/** A program that does not read the answers to its marks gets no more of them while so much is unread. */
const UNREAD_SIZE_BYTES_MAX = 1 << 20;
/** Programs that may have the pipe open at once; each takes memory here. */
const CONNECTIONS_MAX = 1024;

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
  /** How many answers each socket waits for. */
  #answers = new Map<Socket, number>();
  /** Those that wait to be read. */
  readonly #paused = new Set<Socket>();
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
    server.maxConnections = CONNECTIONS_MAX;
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
        await this.#counting; // and what waited for that is read
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
        [this.#pending, this.#answers] = [0, new Map()];
        await this.#counts.take(iterations, this.#settleMs);
        this.#total += iterations;
        for (const [socket, count] of answers) this.#answer(socket, count);
        for (const socket of this.#paused) socket.resume();
        this.#paused.clear();
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
      if (this.#pending < PENDING_MAX) return;
      socket.pause();
      this.#paused.add(socket);
    });
    socket.on('end', () => {
      if (hasRest)
        this.#noteLine(socket); // a last line without its end
      else if (this.#pending === 0) socket.end();
    });
    socket.on('error', () => socket.destroy()); // it went away before the answer: its mark counts all the same
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#paused.delete(socket);
    });
  }

  #noteLine(socket: Socket): void {
    this.#answers.set(socket, (this.#answers.get(socket) ?? 0) + 1);
    this.note();
  }

  #answer(socket: Socket, count: number): void {
    if (!socket.writable) return;
    if (socket.writableLength < UNREAD_SIZE_BYTES_MAX) socket.write(`${this.#total}\n`.repeat(count));
    if (socket.readableEnded) socket.end();
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
