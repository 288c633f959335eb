import { getSystemErrorName } from 'node:util';
import { isMainThread } from 'node:worker_threads';

import {
  uv_default_loop,
  uv_fileno,
  uv_handle_get_type,
  uv_handle_type_name,
  uv_has_ref,
  uv_walk,
  type UvHandle,
} from '../ffi/libuv.ts';

/** An object of Node's in the event loop: a socket, a server, a stream. */
interface Refable {
  ref(): unknown;
  unref(): unknown;
}

/** The libuv handle behind an object of Node's. */
interface LibuvHandle {
  /** libuv's name of it: `tcp`, `udp`, `pipe`, `tty`. */
  readonly type: string;
  /** The HANDLE or SOCKET under it, unsigned. */
  readonly value: bigint;
}

/**
 * Finds the operating system's handle under an object of Node's.
 *
 * Node gives no handle on Windows (`socket._handle.fd` is -1). libuv, which node.exe exports, gives the system's handle
 * of each libuv handle, but not the JavaScript object that it belongs to. So this function unreferences the object and
 * references it again, and looks for the one libuv handle whose reference goes and comes with it. Between two turns of
 * the event loop no other code can change references. The object is left as it was (or referenced, if nothing was
 * found). The cost is three walks of the loop, some 40 µs each.
 *
 * It uses only public functions of Node and libuv, but these know only the loop of the main thread.
 *
 * @throws Error in a worker, where libuv is not exported, or when nothing is found
 */
export function findLibuvHandle(source: Refable): LibuvHandle {
  if (!isMainThread) throw notFound("only the main thread's event loop can be asked");
  if (!uv_default_loop || !uv_walk || !uv_has_ref || !uv_fileno || !uv_handle_get_type || !uv_handle_type_name) {
    throw notFound(`${process.execPath} does not export libuv. Try a stock node.exe.`);
  }
  const loop = uv_default_loop();
  const walk = uv_walk;
  const hasRef = uv_has_ref;
  const referenced = (): Set<UvHandle> => {
    const handles: UvHandle[] = [];
    walk(loop, (handle) => handles.push(handle), null);
    return new Set(handles.filter((handle) => hasRef(handle) !== 0));
  };

  const before = referenced();
  source.unref();
  const without = referenced();
  source.ref();
  const candidates = [...referenced()].filter((handle) => !without.has(handle));
  const [handle] = candidates;
  if (handle !== undefined && !before.has(handle)) source.unref();
  if (handle === undefined || candidates.length > 1) {
    throw notFound(`${candidates.length} of libuv's handles answer to it`);
  }

  const value = new BigUint64Array(1);
  const error = uv_fileno(handle, value);
  if (error !== 0) throw notFound(`libuv has none for it (${getSystemErrorName(error)} ${error})`);
  return { type: uv_handle_type_name(uv_handle_get_type(handle)) ?? 'unknown', value: value[0]! };
}

/**
 * Node's own object for the libuv handle, to compare: it is another one after the source was closed and opened again.
 * Where Node does not show it, it is always `undefined`.
 */
export function innerHandle(source: object): unknown {
  return (source as { readonly _handle?: unknown })._handle;
}

function notFound(reason: string): Error {
  return new Error(`Cannot find the handle of Node's object: ${reason}`);
}
