import type { Frame, HandleObject, Stack } from '../../model.ts';
import { dissect, functionName, moduleName } from '../stacks.ts';

const startThread: RegExp = /^uv_thread_create(?:_ex)?$/;

/** Node.js's function that starts all of it. */
const start = 'node::Start';

/** The functions through which it comes to its platform, as Node.js's sources name them. */
const onTheWay: RegExp =
  /^(?:std::|node::(?:V8Platform|NodePlatform|WorkerThreadsTaskRunner|StartInternal|InitializeOncePerProcess))/;

/**
 * Finds the function of Node.js that started a thread of its platform: four that compile and collect garbage, and one
 * that waits for their time. They last as long as the process, and a killed Node.js does not join them.
 *
 * Such a stack leads from `uv_thread_create` to `node::Start` by functions of the same module, which have no names in
 * official builds. A script, an add-on or a callback of the event loop would put something else in between: code of no
 * module, of another module, or functions of V8, libuv and Node.js that call it, whose names every Node.js exports.
 *
 * @param called the function of the runtime that was called
 */
export function startOfNode(stack: Stack, called: string | undefined, { type }: HandleObject): Frame | undefined {
  if (type !== 'Thread' || called === undefined || !startThread.test(called)) return undefined;
  const { stack: trimmed, site } = dissect(stack);
  if (site === undefined) return undefined;
  const callers = trimmed.slice(trimmed.indexOf(site));
  const other = callers.find((frame) => {
    const name = functionName(frame);
    return moduleName(frame) !== moduleName(site) || (name !== undefined && !onTheWay.test(name));
  });
  return other !== undefined && moduleName(other) === moduleName(site) && functionName(other) === start
    ? other
    : undefined;
}
