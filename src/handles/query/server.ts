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

// This module runs in the helper process, and Node may load it as TypeScript. So neither this module nor its imports
// may use syntax that a compiler must lower, such as `using`. `finally` closes handles instead.

const CURRENT_PROCESS = -1n as HANDLE;
const INFINITE = 0xffff_ffff;

/** Examines one file handle of this process. It may block a thread of the pool for ever, but not JavaScript. */
export type Inspect = (handle: HANDLE, details: boolean) => Promise<Omit<FileAnswer, 'id'>>;

/** The settings and connections of a query server. */
interface QueryServerOptions {
  /** How long one query may take on a machine with a free processor, before the answer is `timedOut`. */
  readonly timeoutMs: number;
  /** How many queries run at a time. libuv must have one more thread, for the controls of {@link QueryWatch}. */
  readonly threads: number;
  readonly send: (message: AnswerMessage) => void;
  readonly inspect: Inspect;
  readonly askControl: () => Promise<unknown>;
}

/** Makes this process the helper of the auditor that started it, until the auditor ends. */
export function serveAuditor(inspect: Inspect = inspectFile): void {
  const ownEvent = CreateEventW(null, true, false, null);
  const answer = createQueryServer({
    timeoutMs: Number(process.env[QUERY_TIMEOUT_VARIABLE]),
    threads: Number(process.env[POOL_SIZE_VARIABLE]) - 1,
    send: (message) => process.send!(message),
    inspect,
    // No other process has this event, so the query for its name cannot block. Even if there is no event, it fails at
    // once.
    askControl: () => queryObjectNameAsync(ownEvent),
  });
  process.on('message', (message) => answer(message as QueryMessage));
  // An orderly exit would join libuv's threads, some of which may be blocked for ever.
  process.on('disconnect', () => process.kill(process.pid, 'SIGKILL'));
}

/**
 * Answers queries about file handles of other processes, each on a thread of its own.
 *
 * A query that blocks costs only its thread. It is reported as timed out, and its duplicate is never closed, because
 * that may block, too. The auditor ends this process from outside: there is no other way to end a thread that waits for
 * the lock of a file object. When all threads are blocked, an answer says so, and no more queries begin. A query that
 * returns after all is answered once more.
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
  // A socket is named \Device\Afd or \Device\Afd\Endpoint on Windows [src], and not at all on Wine [ran]. The
  // driver Afd has other files too: it tells which is which.
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
