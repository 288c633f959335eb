import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir, hostname } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path/posix';
import { LaunchFailure } from './failure.js';
import { isAlive } from './processes.js';

/**
 * The directory for everything that can be fetched or made again: `UNCLOSED_HOME`, or `unclosed` in the user's cache
 * directory as the XDG base directory specification defines it (which ignores a relative XDG_CACHE_HOME).
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {string}
 */
export function cacheDirectory(environment) {
  const { UNCLOSED_HOME: own, XDG_CACHE_HOME: cache } = environment;
  if (own) {
    if (!isAbsolute(own)) throw new LaunchFailure(`Cannot use UNCLOSED_HOME: ${own}: not an absolute path.`);
    return own;
  }
  return join(cache && isAbsolute(cache) ? cache : join(homedir(), '.cache'), 'unclosed');
}

/**
 * Makes a directory, whole or not at all: `fill` works on a temporary neighbour that is renamed at the end. Two
 * processes may do so at once: the result of the first one stays. There is no lock, because a killed process could keep
 * it.
 *
 * @param {string} directory
 * @param {(temporary: string) => Promise<void>} fill
 */
export async function makeOnce(directory, fill) {
  if (existsSync(directory)) return;
  const temporary = makeNeighbour(dirname(directory));
  try {
    await fill(temporary);
    renameSync(temporary, directory);
  } catch (error) {
    rmSync(temporary, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
    if (!existsSync(directory)) throw error;
  }
}

/**
 * @param {string} parent
 * @returns {string}
 */
function makeNeighbour(parent) {
  // The host is part of the name, because containers may share a cache but not their process ids.
  const prefix = `.new-${hostname()}-`;
  try {
    mkdirSync(parent, { recursive: true });
    for (const name of readdirSync(parent)) {
      const pid = name.startsWith(prefix) ? Number.parseInt(name.slice(prefix.length), 10) : Number.NaN;
      if (pid > 0 && !isAlive(pid)) rmSync(join(parent, name), { recursive: true, force: true });
    }
    return mkdtempSync(join(parent, `${prefix}${process.pid}-`));
  } catch (error) {
    const { message } = /** @type {Error} */ (error);
    throw new LaunchFailure(
      `Cannot write to the cache: ${parent}: ${message}. Try UNCLOSED_HOME=<a directory of yours> in the environment.`,
    );
  }
}
