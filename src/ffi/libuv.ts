import { callbackType, HANDLE, LONG, loadLibrary, LPCSTR, POINTER, VOID } from './library.ts';

/** libuv is linked into the running program, node.exe, which exports it. A program that embeds Node may not. */
const libuv = loadLibrary(process.execPath);

/** The address of a `uv_handle_t`; good until control returns to the event loop. */
export type UvHandle = bigint;

const WALK_CALLBACK = callbackType(VOID, [POINTER, POINTER]);

/**
 * https://docs.libuv.org/en/v1.x/fs.html#c.uv_get_osfhandle: -1 for a bad descriptor, -2 for a standard one without a
 * stream
 */
export const uv_get_osfhandle: ((fd: number) => HANDLE) | undefined = libuv.defineOptional('uv_get_osfhandle', HANDLE, [
  LONG,
]);

/** https://docs.libuv.org/en/v1.x/fs.html#c.uv_open_osfhandle: -1 on failure */
export const uv_open_osfhandle: ((os_fd: HANDLE) => number) | undefined = libuv.defineOptional(
  'uv_open_osfhandle',
  LONG,
  [HANDLE],
);

/** https://docs.libuv.org/en/v1.x/loop.html#c.uv_default_loop: the loop of Node's main thread */
export const uv_default_loop: (() => bigint) | undefined = libuv.defineOptional('uv_default_loop', POINTER, []);

/** https://docs.libuv.org/en/v1.x/loop.html#c.uv_walk */
export const uv_walk: ((loop: bigint, walk_cb: (handle: UvHandle, arg: null) => void, arg: null) => void) | undefined =
  libuv.defineOptional('uv_walk', VOID, [POINTER, WALK_CALLBACK, POINTER]);

/** https://docs.libuv.org/en/v1.x/handle.html#c.uv_has_ref: non-zero if the handle keeps the loop alive */
export const uv_has_ref: ((handle: UvHandle) => number) | undefined = libuv.defineOptional('uv_has_ref', LONG, [
  POINTER,
]);

/** https://docs.libuv.org/en/v1.x/handle.html#c.uv_fileno: 0, or a negative error number */
export const uv_fileno: ((handle: UvHandle, fd: BigUint64Array) => number) | undefined = libuv.defineOptional(
  'uv_fileno',
  LONG,
  [POINTER, POINTER],
);

/** https://docs.libuv.org/en/v1.x/handle.html#c.uv_handle_get_type */
export const uv_handle_get_type: ((handle: UvHandle) => number) | undefined = libuv.defineOptional(
  'uv_handle_get_type',
  LONG,
  [POINTER],
);

/** https://docs.libuv.org/en/v1.x/handle.html#c.uv_handle_type_name: `tcp`, `udp`, `pipe`, `tty`… */
export const uv_handle_type_name: ((type: number) => string | null) | undefined = libuv.defineOptional(
  'uv_handle_type_name',
  LPCSTR,
  [LONG],
);
