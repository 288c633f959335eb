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
 * A Wine prefix in use: a server, its services, and the programs that depend on it.
 *
 * @typedef {object} Session
 * @property {Server} server
 * @property {string | undefined} id stands in the environment of the server and all of its programs; undefined when the
 *   server was not started by a launcher
 */

/**
 * How a program ended.
 *
 * @typedef {object} ProgramEnd
 * @property {number | null} code null when it was ended by force
 * @property {NodeJS.Signals | null} signal that ended it
 * @property {boolean} lostServer its server ended before it, so that its exit code means nothing
 */

/** The environment variable that names the session. */
const variable = 'UNCLOSED_SESSION';
/** How often to start a session that ends before a program has run in it. */
const attempts = 5;
/** Wine itself waits half a minute for its services. */
const startTimeoutMs = 120_000;

/**
 * Starts Wine's server and services for a prefix, unless they run.
 *
 * The first program in a prefix starts the services. They keep its stdout and stderr open for some seconds after it,
 * and for as long as other programs keep them busy: `unclosed … | jq` would wait for them. So this runs a program
 * without streams first. It does so even if another launch is about to do the same, because the services are there only
 * after such a program has ended.
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
    if (server === undefined) continue; // It has just ended.
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
 * Runs a Windows program to its end. A program that loses its server may wait for ever, so it is killed, with the rest
 * of the session.
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
  // Most programs of the session would end by themselves, but some would wait for ever.
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
  // The server goes into the background as soon as it can be found, or ends if there is one already. It stays for ten
  // seconds after the last program, so that the next launch is quick. Debian's would end at once, and a launch at that
  // moment would have to wait for its end.
  const env = { ...environment, [variable]: randomUUID() };
  spawnSync(wineserverOf(wine), ['-p10'], { env, stdio: 'ignore', timeout: startTimeoutMs });
  return findServer(environment.WINEPREFIX ?? '');
}

/**
 * @param {Wine} wine
 * @param {NodeJS.ProcessEnv} env
 * @param {Session} session
 * @returns {Promise<boolean>} whether the services run, without the streams of any program
 */
async function startServices(wine, env, session) {
  // Detached, so that Ctrl-C on this terminal does not reach the services.
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
    // Then the next launch starts the services itself.
  }
}

/** @param {string} prefix */
function recordPath(prefix) {
  return join(prefix, 'unclosed-session');
}
