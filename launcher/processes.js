import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes that have a variable in the environment they were started with, which children inherit.
 *
 * @param {string} variable `NAME=value`
 * @returns {{ pid: number, command: string }[]}
 */
export function findProcesses(variable) {
  return readdirSync('/proc').flatMap((name) => {
    const pid = Number(name);
    if (!(pid > 0) || pid === process.pid) return [];
    try {
      if (!readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(variable)) return [];
      return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() }];
    } catch {
      return []; // It ended meanwhile, or is another user's.
    }
  });
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
}

/**
 * Tells when the server of a Wine prefix crashed, and ends every program in the prefix, which would wait for it for
 * ever. (Wine 8's does crash, if rarely, where many pipes are read and closed at once: it wakes an object that is
 * gone.)
 *
 * @param {string} prefix
 * @param {() => void} onCrash called at most once
 * @returns {() => void} ends the watch
 */
export function watchServer(prefix, onCrash) {
  /** @type {number | undefined} */
  let server;
  // Every launch starts a server, which ends at once where there is one. The one that is met twice is the one.
  let isSure = false;
  const timer = setInterval(() => {
    if (!isSure) {
      const found = findProcesses(`WINEPREFIX=${prefix}`).find(({ command }) => /^\S*\/wineserver\S*( |$)/.test(command))?.pid;
      isSure = found !== undefined && found === server;
      server = found;
    }
    if (!isSure || server === undefined || isAlive(server)) return;
    clearInterval(timer);
    onCrash();
    for (const { pid } of findProcesses(`WINEPREFIX=${prefix}`)) {
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
  }, 3000);
  return () => clearInterval(timer);
}
