import { spawn, spawnSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { LaunchFailure } from './failure.js';
import { killProcesses, variableOf } from './processes.js';
import { findServer, isRunning, watchServer } from './server.js';
import { startByWine, wineserverOf } from './wine.js';

/** @import { Server } from './server.js' */
/** @import { Wine } from './wine.js' */

/**
 * A Wine prefix that is in use: a server, its services, and the programs that hang on it.
 *
 * @typedef {object} Session
 * @property {Server} server
 * @property {string | undefined} id stands in the environment of the server and all of its programs; undefined when the
 * server was
 *   not started by a launcher
 */

/**
 * How a program ended.
 *
 * @typedef {object} ProgramEnd
 * @property {number | null} code null when it was ended by force
 * @property {NodeJS.Signals | null} signal that ended it
 * @property {boolean} lostServer its server ended before it, and whatever code it ended with says nothing
 */

/** The environment variable that names the session. */
const variable = 'UNCLOSED_SESSION';
/** How often a session is begun that ends before a program has run in it. */
const attempts = 5;
/** Wine itself waits half a minute for its services. */
const startTimeoutMs = 120_000;

/**
 * Starts Wine's server and services for a prefix, unless they run.
 *
 * The first program in a prefix would start the services, and they would keep its stdout and stderr open for the
 * seconds that they live on, and for as long as others keep them busy: `unclosed … | jq` would wait for them. So a
 * program is run first that has no streams. Where another launch is about to do the same, this one does it too: only
 * when such a program has ended are the services there.
 *
 * @param {Wine} wine
 * @param {NodeJS.ProcessEnv} environment names the prefix
 * @returns {Promise<Session>}
 * @throws {LaunchFailure}
 */
export async function startSession(wine, environment) {
  const { WINEPREFIX: prefix = '' } = environment;
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    const server = findServer(prefix) ?? startServer(wine, environment);
    if (server === undefined) continue; // it ended as we came
    const id = variableOf(server.pid, variable);
    const session = { server, id };
    if (readRecord(prefix) === describe(session)) return session;
    if (!(await startServices(wine, environment, session))) continue;
    writeRecord(prefix, describe(session));
    return session;
  }
  throw new LaunchFailure(
    `Cannot start ${wine.version} in ${prefix}: ${attempts} times its server ended or its first program failed. Try WINEDEBUG=err+all in the environment to see Wine's reason.`,
  );
}

/**
 * Runs a Windows program until it has ended. One that loses its server may wait for ever: it is ended, with all that is
 * left of the session.
 *
 * @param {Wine} wine
 * @param {Session} session
 * @param {readonly string[]} command
 * @param {import('node:child_process').SpawnOptions & { env: NodeJS.ProcessEnv }} options
 * @returns {Promise<ProgramEnd>}
 * @throws {LaunchFailure} when Wine cannot be started
 */
export async function runInSession(wine, session, command, options) {
  /** @type {Omit<ProgramEnd, 'lostServer'>} */
  const end = await new Promise((resolve, reject) => {
    const child = spawn(...startByWine(wine, command), { ...options, env: { ...options.env, [variable]: session.id } });
    const endWatch = watchServer(session.server, () => {
      child.kill('SIGKILL');
      resolve({ code: null, signal: null });
    });
    child.on('error', (error) => {
      endWatch();
      reject(new LaunchFailure(`Cannot run Wine: ${wine.path}: ${error.message}.`));
    });
    child.on('exit', (code, signal) => {
      endWatch();
      resolve({ code, signal });
    });
  });
  const lostServer = !isRunning(session.server);
  // Most of its programs would end by themselves, and some would wait for ever.
  if (lostServer && session.id !== undefined) killProcesses(`${variable}=${session.id}`);
  return { ...end, lostServer };
}

/**
 * @param {{ readonly version: string }} wine
 * @returns {string} one line for the user
 */
export function explainLostServer(wine) {
  return `Cannot finish: the server of ${wine.version} crashed, and every program with it. Try again.`;
}

/**
 * @param {Wine} wine
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Server | undefined}
 */
function startServer(wine, environment) {
  // It goes into the background when it can be found, or ends when there is one already. It stays for ten seconds after
  // the last program, so that the next launch is quick; Debian's would go at once, and a launch that meets it going
  // waits for it.
  const env = { ...environment, [variable]: randomUUID() };
  spawnSync(wineserverOf(wine), ['-p10'], { env, stdio: 'ignore', timeout: startTimeoutMs });
  return findServer(environment.WINEPREFIX ?? '');
}

/**
 * @param {Wine} wine
 * @param {NodeJS.ProcessEnv} env
 * @param {Session} session
 * @returns {Promise<boolean>} whether the services run, and hold nobody's streams
 */
async function startServices(wine, env, session) {
  // Detached: Ctrl-C on this terminal is none of the services' business.
  const options = {
    env,
    stdio: /** @type {const} */ ('ignore'),
    detached: true,
    timeout: startTimeoutMs,
    killSignal: /** @type {const} */ ('SIGKILL'),
  };
  const { code, lostServer } = await runInSession(wine, session, ['cmd', '/c', 'exit'], options);
  return code === 0 && !lostServer;
}

/** @param {Session} session */
function describe({ server, id = '' }) {
  return `${id} ${server.pid} ${server.startTime}`;
}

/**
 * The session of a prefix whose services were started by {@link startServices}.
 *
 * @param {string} prefix
 */
function readRecord(prefix) {
  try {
    return readFileSync(recordPath(prefix), 'utf8');
  } catch {
    return undefined;
  }
}

/**
 * @param {string} prefix
 * @param {string} text
 */
function writeRecord(prefix, text) {
  try {
    writeFileSync(recordPath(prefix), text);
  } catch {
    // The next launch makes sure of the services by itself.
  }
}

/** @param {string} prefix */
function recordPath(prefix) {
  return join(prefix, 'unclosed-session');
}
