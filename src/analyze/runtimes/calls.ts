import type { HandleObject } from '../../model.ts';

/**
 * The effects of runtimes' functions on handles: which of those that they open are their callers', and which are their
 * own.
 */

/** Kernel objects that runtimes make to do their work. A file, a socket or a process is for a caller. */
const means: ReadonlySet<string> = new Set([
  ...['Event', 'Semaphore', 'Mutant', 'KeyedEvent', 'Timer', 'IRTimer', 'Thread', 'Section', 'Job'],
  ...['IoCompletion', 'WaitCompletionPacket', 'TpWorkerFactory', 'EtwRegistration', 'Directory'],
]);

interface Row {
  readonly names: RegExp;
  /** Those of {@link means} that the function gives to its caller, who must give them back to the runtime. */
  readonly gives: readonly string[];
}

const rows: readonly Row[] = [
  // A thread that is neither joined nor detached.
  {
    names: /^(?:__)?(?:pthread|gthread)_create$|^uv_thread_create(?:_ex)?$|^_Thrd_(?:create|start)$/,
    gives: ['Thread'],
  },
  { names: /^_beginthread(?:ex)?$|^std::thread::_M_start_thread$|^(?:std\.)?Thread\.spawn\b/, gives: ['Thread'] },
  { names: /^<?std::sys\b.*::thread::(?:\w+::)*Thread::new\b/, gives: ['Thread'] },
  // Objects with a function that destroys them.
  { names: /^(?:sem_(?:init|open)|uv_sem_init)$/, gives: ['Semaphore'] },
  {
    names: /^(?:pthread_|uv_)(?:mutex|cond|rwlock|barrier)_init(?:_recursive)?$/,
    gives: ['Semaphore', 'Event', 'Mutant'],
  },
  { names: /^uv_loop_(?:init|new|fork)$/, gives: ['IoCompletion'] },
  // A copy is of whatever the original was.
  {
    names: /^<?std::(?:os::windows::io|sys)\b.*::(?:duplicate|try_clone|try_clone_to_owned)$/,
    gives: [...means],
  },
];

/**
 * The function gives a new handle of this object to its caller. For a function that no row knows, the type decides: a
 * semaphore that `std::ostream::flush` made is its own, and a file that `std::ifstream::open` opened is its caller's.
 *
 * @param name the function of the runtime that the program called
 */
export function runtimeGives(name: string | undefined, { type }: HandleObject): boolean {
  if (!means.has(type)) return true;
  return name !== undefined && rows.some((row) => row.names.test(name) && row.gives.includes(type));
}

/** Services of runtimes that open nothing for their callers: emulated thread-local storage, panics and backtraces. */
const selfServing: RegExp =
  /^(?:__emutls_\w+|<?std::backtrace(?:_rs)?::.*|<?std::sys(?:_common)?::backtrace::.*|std::panicking::(?!try\b|catch).*)$/;

/** The function of a runtime opens nothing for the one that called it. */
export function servesItself(name: string | undefined): boolean {
  return name !== undefined && selfServing.test(name);
}

/**
 * libuv keeps sockets ready for the next connections to a server: `uv_listen` makes the first ones, and `uv_accept` one
 * more for each that is taken. `uv__tcp_queue_accept` passes them to AcceptEx.
 */
const preparing: RegExp = /^uv_(?:listen|accept|_tcp_(?:listen|accept|queue_accept))$/;

/** The function of a runtime opened the socket for a connection that has not come. */
export function preparesConnection(name: string | undefined, { socket }: HandleObject): boolean {
  return socket?.state === 'unbound' && name !== undefined && preparing.test(name);
}
