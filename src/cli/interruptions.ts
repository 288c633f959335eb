/**
 * How a user ends the tool:
 *
 * - SIGINT: Ctrl-C
 * - SIGBREAK: Ctrl-Break
 * - SIGHUP: the console was closed, and Windows ends this process after 5 s; or the launcher on Linux has ended
 *
 * https://nodejs.org/api/process.html#signal-events
 */
const signals = ['SIGINT', 'SIGBREAK', 'SIGHUP'] as const;

/** One of the ways in which a user ends the tool. */
export type Interruption = (typeof signals)[number];

/** Calls back at each interruption, until it is disposed of. */
export function onInterruption(listener: (signal: Interruption) => void): Disposable {
  const handlers = signals.map((signal) => [signal, () => listener(signal)] as const);
  for (const [signal, handler] of handlers) process.on(signal, handler);
  return {
    [Symbol.dispose]() {
      for (const [signal, handler] of handlers) process.off(signal, handler);
    },
  };
}
