import { readdirSync, readFileSync } from 'node:fs';

/**
 * The processes that were started with a variable in their environment, which their children inherit.
 *
 * @param {string} variable `NAME=value`
 * @returns {{ pid: number, command: string }[]}
 */
export function findProcesses(variable) {
  return listProcesses().flatMap((pid) => {
    if (pid === process.pid || !readOfProcess(pid, 'environ').split('\0').includes(variable)) return [];
    return [{ pid, command: readOfProcess(pid, 'cmdline').replaceAll('\0', ' ').trim() }];
  });
}

/**
 * Ends every process that has a variable in its environment, and those that they start in the meantime.
 *
 * @param {string} variable `NAME=value`
 * @param {(command: string) => boolean} [isMeant] by its command line; all are by default
 */
export function killProcesses(variable, isMeant = () => true) {
  /** @type {Set<number>} */
  const killed = new Set();
  for (;;) {
    const left = findProcesses(variable).filter(({ pid, command }) => !killed.has(pid) && isMeant(command));
    if (left.length === 0) return;
    for (const { pid } of left) {
      killed.add(pid);
      sendSignal(pid, 'SIGKILL');
    }
  }
}

/**
 * @param {number} pid may be of a process that has ended
 * @param {NodeJS.Signals} signal
 */
export function sendSignal(pid, signal) {
  try {
    process.kill(pid, signal);
  } catch {
    // It ended meanwhile.
  }
}

/** @returns {number[]} */
export function listProcesses() {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => pid > 0);
}

/**
 * A variable of the environment that a process was started with.
 *
 * @param {number} pid
 * @param {string} name
 * @returns {string | undefined}
 */
export function variableOf(pid, name) {
  const start = `${name}=`;
  return readOfProcess(pid, 'environ')
    .split('\0')
    .find((entry) => entry.startsWith(start))
    ?.slice(start.length);
}

/**
 * The time at which a process was started, in clock ticks since the machine started. Together with the id it identifies
 * a process, although ids are reused.
 *
 * @param {number} pid
 * @returns {number | undefined} undefined: it does not run. A process that has ended does not, though it may be there
 *   until its parent asks for its exit code; in a container whose first process takes no care of orphans that is for
 *   ever
 */
export function startTimeOf(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // proc(5): the name stands in parentheses and may hold anything; behind it come the state, field 3, and more.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' && readdirSync(`/proc/${pid}/task`).length === 1) return undefined;
    return Number(fields[22 - 3]);
  } catch {
    return undefined;
  }
}

/**
 * Whether a process leads a Unix session, as a daemon does.
 *
 * @param {number} pid
 * @returns {boolean}
 */
export function leadsSession(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // proc(5): behind the name come state, parent, process group and session.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[3]) === pid;
  } catch {
    return false; // it has ended
  }
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  return startTimeOf(pid) !== undefined;
}

/**
 * Reads a file below /proc about the memory of a process: empty if the process has ended or belongs to another user.
 *
 * When the first thread of a process ends, the others live on, and only they have the file. That happens to programs
 * whose Wine server has crashed: the first thread, which waited for the server, ends; a thread that waits for a pipe
 * stays.
 *
 * @param {number} pid
 * @param {'environ' | 'cmdline'} name
 * @returns {string}
 */
export function readOfProcess(pid, name) {
  try {
    const text = readFileSync(`/proc/${pid}/${name}`, 'utf8');
    if (text !== '') return text;
  } catch {
    // As with an empty one.
  }
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      if (Number(thread) === pid) continue;
      try {
        const text = readFileSync(`/proc/${pid}/task/${thread}/${name}`, 'utf8');
        if (text !== '') return text;
      } catch {
        // That thread ended too.
      }
    }
  } catch {
    // It ended meanwhile.
  }
  return '';
}
