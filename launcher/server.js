import { readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path/posix';
import { leadsSession, listProcesses, readOfProcess, startTimeOf } from './processes.js';

/**
 * The process that keeps the state of a Wine prefix. There is one at a time, and a program depends on the one that ran
 * when it started.
 *
 * @typedef {object} Server
 * @property {number} pid
 * @property {number} startTime as {@link startTimeOf} tells it
 */

/** The longest time until the end of a server is noticed. */
const watchIntervalMs = 200;

/**
 * Finds the server of a prefix: the one that holds its lock. A launch may start another one, which finds the lock taken
 * and ends.
 *
 * @param {string} prefix
 * @returns {Server | undefined} undefined if there is none
 */
export function findServer(prefix) {
  const found = serversOf(prefix, listLockHolders());
  // Some sandboxes hide locks. The oldest server is the one that holds the lock. A process that has not gone into the
  // background is about to start a server and to end: whoever took it for the server would take that for lost.
  const daemons = () => serversOf(prefix, listProcesses()).filter(({ pid }) => leadsSession(pid));
  return found[0] ?? daemons().sort((one, other) => one.startTime - other.startTime)[0];
}

/**
 * @param {Server} server
 * @returns {boolean}
 */
export function isRunning({ pid, startTime }) {
  return startTimeOf(pid) === startTime;
}

/**
 * Calls back once when a server has ended. (The server of Wine 8 does crash, though rarely.)
 *
 * @param {Server} server
 * @param {() => void} onEnd
 * @returns {() => void} ends the watch
 */
export function watchServer(server, onEnd) {
  const timer = setInterval(() => {
    if (isRunning(server)) return;
    clearInterval(timer);
    onEnd();
  }, watchIntervalMs);
  return () => clearInterval(timer);
}

/**
 * @param {string} prefix
 * @param {readonly number[]} pids
 * @returns {Server[]}
 */
function serversOf(prefix, pids) {
  const { dev, ino } = statSync(prefix, { bigint: true });
  // A server's working directory is the prefix while it reads the registry, and then a directory with this name. Only
  // its place differs between builds of Wine.
  const directory = `server-${dev.toString(16)}-${ino.toString(16)}`;
  const isPrefix = (/** @type {string} */ path) => {
    const place = statSync(path, { bigint: true });
    return place.dev === dev && place.ino === ino;
  };
  return pids.flatMap((pid) => {
    const [program = ''] = readOfProcess(pid, 'cmdline').split('\0');
    if (!/^wineserver/.test(basename(program))) return [];
    const workingDirectory = `/proc/${pid}/cwd`;
    try {
      if (basename(readlinkSync(workingDirectory)) !== directory && !isPrefix(workingDirectory)) return [];
    } catch {
      return []; // It has ended, or belongs to another user.
    }
    const startTime = startTimeOf(pid);
    return startTime === undefined ? [] : [{ pid, startTime }];
  });
}

/** @returns {number[]} the processes that hold a lock of fcntl(2) on a file, to write to it */
function listLockHolders() {
  try {
    // proc(5): `1: POSIX  ADVISORY  WRITE 4461 fe:00:2148636 0 0`; a process that waits for a lock has `->` after its
    // number.
    const lines = readFileSync('/proc/locks', 'latin1').matchAll(/^\d+: POSIX +\w+ +WRITE +(\d+) /gm);
    return Array.from(lines, ([, pid]) => Number(pid));
  } catch {
    return [];
  }
}
