/**
 * Functions of libuv by which a thread asks for work that a thread of libuv's pool does later. A program that has libuv
 * in it exports them for its addons, as node.exe does.
 */
export interface RequestFunction {
  readonly kind: 'request';
  readonly module: typeof REQUEST_MODULE;
  readonly name: string;
  readonly argumentCount: number;
  /** A number of what libuv does for it: each has a function of its own that does the work. */
  readonly work: number;
  /** Offset of `struct uv__work work_req` in the request, to which the second argument points. */
  readonly workOffset: number;
  /** The argument that is NULL where the function does the work itself, before it returns. */
  readonly callbackArgument: number;
}

/** Not a DLL: the functions lie in the program. */
export const REQUEST_MODULE = 'libuv';

/**
 * Offsets in structures that are part of libuv's interface, and so the same in all of its versions 1.x: uv.h and
 * uv/win.h. All requests begin with UV_REQ_FIELDS, 112 bytes.
 */
const workOffset = { uv_fs_t: 288, uv_work_t: 136, uv_getaddrinfo_t: 120, uv_getnameinfo_t: 120 };

/** Offset of `struct uv__queue wq` in `struct uv__work`: uv/threadpool.h. */
export const WORK_QUEUE_OFFSET = 24;

function onRequest(
  name: string,
  request: keyof typeof workOffset,
  argumentCount: number,
  callbackArgument: number,
): RequestFunction {
  const common = { kind: 'request', module: REQUEST_MODULE } as const;
  const work = Object.keys(workOffset).indexOf(request);
  return { ...common, name, argumentCount, work, workOffset: workOffset[request], callbackArgument };
}

/**
 * Those whose work may leave a handle open.
 *
 * https://docs.libuv.org/en/v1.x/fs.html, …/threadpool.html and …/dns.html
 */
export const requestFunctions: readonly RequestFunction[] = [
  onRequest('uv_fs_open', 'uv_fs_t', 6, 5),
  onRequest('uv_fs_opendir', 'uv_fs_t', 4, 3),
  onRequest('uv_fs_mkstemp', 'uv_fs_t', 4, 3),
  onRequest('uv_queue_work', 'uv_work_t', 4, 2),
  onRequest('uv_getaddrinfo', 'uv_getaddrinfo_t', 6, 2),
  onRequest('uv_getnameinfo', 'uv_getnameinfo_t', 5, 2),
];
