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
    if (!readOfProcess(pid, 'environ').split('\0').includes(variable)) return [];
    return [{ pid, command: readOfProcess(pid, 'cmdline').replaceAll('\0', ' ').trim() }];
  });
}

/**
 * A file below /proc that tells of a process' memory: empty when the process ended, or is another user's.
 *
 * A process whose first thread ended lives on in its others, and only they still have the file. The programs of a Wine
 * whose server crashed are such: the first thread waited for the server and ends, a thread that waits for a pipe stays.
 *
 * @param {number} pid
 * @param {'environ' | 'cmdline'} name
 * @returns {string}
 */
function readOfProcess(pid, name) {
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

/**
 * Whether a process runs. One that has ended, and that nobody has asked for its exit code, does not: in a container whose
 * first process takes no care of orphans it stays for ever.
 *
 * @param {number} pid
 * @returns {boolean}
 */
export function isAlive(pid) {
  try {
    process.kill(pid, 0);
  } catch (error) {
    return /** @type {NodeJS.ErrnoException} */ (error).code === 'EPERM';
  }
  return !isZombie(pid);
}

/**
 * @param {number} pid
 * @returns {boolean}
 */
function isZombie(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The state is behind the name, which stands in parentheses and may hold anything: proc(5).
    const state = stat.charAt(stat.lastIndexOf(')') + 2);
    return state === 'Z' && readdirSync(`/proc/${pid}/task`).length === 1;
  } catch {
    return false;
  }
}

/**
 * Tells when the server of a Wine prefix crashed, and ends every program in the prefix, which would wait for it for
 * ever. (Wine 8's does crash, if rarely, where many pipes are read and closed at once: it wakes an object that is
 * gone.)
 *
 * Every launch starts a server, which ends at once where there is one. The one that is met twice is the one that the
 * programs have. Where none was met twice before it crashed, programs that are without any server twice tell it.
 *
 * @param {string} prefix
 * @param {() => void} onCrash called at most once
 * @returns {() => void} ends the watch
 */
export function watchServer(prefix, onCrash) {
  /** @type {number | undefined} */
  let server;
  /** @type {readonly number[]} */
  let metBefore = [];
  let wereWithout = false;
  const hasCrashed = () => {
    if (server !== undefined) return !isAlive(server);
    const all = findProcesses(`WINEPREFIX=${prefix}`);
    const servers = all.filter(({ command }) => /^\S*\/wineserver\S*( |$)/.test(command)).map(({ pid }) => pid);
    server = servers.find((pid) => metBefore.includes(pid));
    metBefore = servers;
    const areWithout = servers.length === 0 && all.length > 0;
    const hadNone = wereWithout && areWithout;
    wereWithout = areWithout;
    return hadNone;
  };
  const timer = setInterval(() => {
    if (!hasCrashed()) return;
    clearInterval(timer);
    onCrash();
    killAll(prefix);
  }, 3000);
  return () => clearInterval(timer);
}

/**
 * Ends every process in a Wine prefix by force, and those that they start meanwhile.
 *
 * @param {string} prefix
 */
function killAll(prefix) {
  /** @type {Set<number>} */
  const killed = new Set();
  for (;;) {
    const left = findProcesses(`WINEPREFIX=${prefix}`).filter(({ pid }) => !killed.has(pid));
    if (left.length === 0) return;
    for (const { pid } of left) {
      killed.add(pid);
      try {
        process.kill(pid, 'SIGKILL');
      } catch {
        // It ended meanwhile.
      }
    }
  }
}
