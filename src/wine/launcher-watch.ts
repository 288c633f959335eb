import { closeSync, openSync } from 'node:fs';

/** The longest time until the end of the launcher is noticed. */
const WATCH_INTERVAL_MS = 1000;

/**
 * Calls back once when the launcher has ended before this process, which only SIGKILL can do. The launcher's file
 * ({@link Host.verdict}) is gone then.
 *
 * It keeps no process alive.
 */
export function watchLauncher(verdict: string, onEnd: () => void): void {
  const timer = setInterval(() => {
    if (isThere(verdict)) return;
    clearInterval(timer);
    onEnd();
  }, WATCH_INTERVAL_MS);
  timer.unref();
}

function isThere(path: string): boolean {
  try {
    closeSync(openSync(path, 'r'));
    return true;
  } catch {
    return false;
  }
}
