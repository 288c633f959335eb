import { DUPLICATE_SAME_ACCESS, PROCESS_DUP_HANDLE } from '../../ffi/constants.ts';
import type { HANDLE } from '../../ffi/library.ts';
import {
  CloseHandle,
  CreateEventW,
  DuplicateHandle,
  GetLastError,
  OpenProcess,
  WaitForMultipleObjectsAsync,
} from '../../ffi/kernel32.ts';
import { queryFileDetails } from '../file-details.ts';
import { queryObjectNameAsync } from '../object-name.ts';
import {
  type AnswerMessage,
  type FileAnswer,
  type FileQuery,
  POOL_SIZE_VARIABLE,
  QUERY_TIMEOUT_VARIABLE,
  type QueryMessage,
} from './protocol.ts';
import { QueryWatch } from './watch.ts';
import { querySocketAsync } from '../sockets/sockets.ts';

// This module runs in the helper process, which Node may load from TypeScript as it is: no syntax that must be lowered
// (`using`) may stand in it or in what it imports. Handles are closed in `finally` instead.

const CURRENT_PROCESS = -1n as HANDLE;
const INFINITE = 0xffff_ffff;

/**
 * Finds out what one file handle of this process is. May block the thread that it waits on for ever, but not
 * JavaScript.
 */
export type Inspect = (handle: HANDLE, details: boolean) => Promise<Omit<FileAnswer, 'id'>>;

/** What the helper process is given to do its work with. */
interface QueryServerOptions {
  /** How long one query may take, where nobody has to wait for a processor, before it is answered with `timedOut`. */
  readonly timeoutMs: number;
  /** How many queries run at a time; libuv must have one thread more, for the controls of {@link QueryWatch}. */
  readonly threads: number;
  readonly send: (message: AnswerMessage) => void;
  readonly inspect: Inspect;
  readonly askControl: () => Promise<unknown>;
}

/** Makes this process the helper of the auditor that started it, until that has gone. */
export function serveAuditor(inspect: Inspect = inspectFile): void {
  const ownEvent = CreateEventW(null, true, false, null);
  const answer = createQueryServer({
    timeoutMs: Number(process.env[QUERY_TIMEOUT_VARIABLE]),
    threads: Number(process.env[POOL_SIZE_VARIABLE]) - 1,
    send: (message) => process.send!(message),
    inspect,
    // No other process has this event, so the query for its name cannot block. Without an event it fails as quickly.
    askControl: () => queryObjectNameAsync(ownEvent),
  });
  process.on('message', (message) => answer(message as QueryMessage));
  // An orderly exit would join libuv's threads, some of which may be blocked for ever.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

/**
 * Answers queries about file handles of other processes, each on a thread of its own.
 *
 * A query that blocks costs its thread and nothing else: it is reported as timed out, its duplicate is never closed (to
 * close it may block as well), and the process that runs this is ended from outside, which is the one sure way to end
 * a thread that waits for a file object's lock. Where all threads are blocked, that is said, and no query is begun. A
 * query that comes back after all is answered once more.
 */
export function createQueryServer(options: QueryServerOptions): (message: QueryMessage) => void {
  const processes = new Map<number, HANDLE | number>();
  const waiting: FileQuery[] = [];
  let running = 0;
  const blocked = new Set<FileQuery>();
  let outbox: FileAnswer[] = [];
  const watch = new QueryWatch<FileQuery>({
    timeoutMs: options.timeoutMs,
    sleep: (durationMs) => new Promise((resolve) => setTimeout(resolve, durationMs)),
    askControl: options.askControl,
    onRound: () => options.send({ answers: [] }),
    onBlocked(query) {
      blocked.add(query);
      post({ id: query.id, timedOut: true });
    },
  });

  function post(answer: FileAnswer): void {
    if (outbox.push(answer) > 1) return;
    setImmediate(() => {
      const answers = outbox;
      outbox = [];
      options.send(blocked.size >= options.threads ? { answers, exhausted: true } : { answers });
    });
  }

  function openProcess(processId: number): HANDLE | number {
    let process = processes.get(processId);
    if (process === undefined) {
      process = OpenProcess(PROCESS_DUP_HANDLE, false, processId);
      if (process === 0n) process = GetLastError();
      processes.set(processId, process);
    }
    return process;
  }

  async function answerQuery(query: FileQuery): Promise<Omit<FileAnswer, 'id'>> {
    const process = openProcess(query.processId);
    if (typeof process === 'number') return { problem: `OpenProcess ${process}` };
    const duplicate = new BigUint64Array(1);
    const source = BigInt(query.value) as HANDLE;
    if (!DuplicateHandle(process, source, CURRENT_PROCESS, duplicate, 0, false, DUPLICATE_SAME_ACCESS)) {
      return { problem: `DuplicateHandle ${GetLastError()}` };
    }
    const handle = BigInt.asIntN(64, duplicate[0]!) as HANDLE;
    try {
      return await options.inspect(handle, query.details === true);
    } finally {
      CloseHandle(handle);
    }
  }

  function begin(query: FileQuery): void {
    running++;
    watch.begin(query);
    void answerQuery(query)
      .catch((error: unknown) => ({ problem: error instanceof Error ? error.message : String(error) }))
      .then((answer) => {
        watch.end(query);
        running--;
        blocked.delete(query);
        post({ ...answer, id: query.id });
        beginMore();
      });
  }

  function beginMore(): void {
    while (waiting.length > 0 && running < options.threads) begin(waiting.shift()!);
  }

  return ({ queries }) => {
    waiting.push(...queries);
    beginMore();
  };
}

async function inspectFile(handle: HANDLE, details: boolean): Promise<Omit<FileAnswer, 'id'>> {
  const name = await queryObjectNameAsync(handle);
  if (typeof name === 'number') return { problem: `NtQueryObject 0x${name.toString(16)}` };
  // A socket is named \Device\Afd or \Device\Afd\Endpoint on Windows [src], and not at all on Wine [ran].
  if (name !== '' && !/^\\device\\afd(?:\\|$)/i.test(name))
    return details ? { name, details: await queryFileDetails(handle) } : { name };
  const event = CreateEventW(null, true, false, null);
  if (event === 0n) return { problem: `CreateEventW ${GetLastError()}` };
  try {
    const waitFor = (set: HANDLE): Promise<number> =>
      WaitForMultipleObjectsAsync(1, new BigInt64Array([set]), false, INFINITE);
    const socket = await querySocketAsync(handle, event, waitFor);
    if (socket !== undefined) return { name, socket };
    return details ? { name, details: await queryFileDetails(handle) } : { name };
  } finally {
    CloseHandle(event);
  }
}
