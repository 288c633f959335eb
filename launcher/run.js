import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { constants } from 'node:os';
import { LaunchFailure } from './failure.js';
import { describeTerminal, isInForeground, onDriveZ } from './host.js';
import { findProcesses, watchServer } from './processes.js';
import { startByWine } from './wine.js';

/** @import { Host } from '../src/wine/host.ts' */
/** @import { Machine } from './launch.js' */

/**
 * How a program ended.
 *
 * @typedef {object} End
 * @property {number} code as a shell would say it
 * @property {NodeJS.Signals | null} signal that ended it
 * @property {boolean} isForced it was the user who ended it
 */

/** One Ctrl-C may come twice, from the terminal and from a parent that passes it on, as npm and timeout(1) do. */
const echoMs = 200;

/**
 * Runs a Windows program to its end.
 *
 * Signals (tried on Wine 8): SIGINT makes Wine raise CTRL_C_EVENT in the process that got it, so that the tool can
 * end its work and report. SIGTERM and SIGHUP have no meaning to a Windows program, Wine just dies of them; they
 * are passed on as SIGINT. The second signal of any kind ends everything that belongs to this launch.
 *
 * Ctrl-C on a terminal goes to the whole process group, so the Windows programs, the audited one too, have it
 * already, as on Windows. A signal that was sent to this process alone is given to all of them, for the same result.
 *
 * @param {Machine} machine
 * @param {readonly [program: string, ...args: string[]]} command
 * @returns {Promise<End>}
 */
export function runProgram({ wine, environment, nativeModules }, command) {
  const stdout = describeTerminal(1);
  const stderr = describeTerminal(2);
  /** @type {Host} */
  const host = {
    wine: wine.version,
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    ...(nativeModules !== undefined && { nativeModules: onDriveZ(nativeModules) }),
    launch: randomUUID(),
  };
  const mark = `UNCLOSED_HOST=${JSON.stringify(host)}`;
  return new Promise((resolve, reject) => {
    let signals = 0;
    let lastTime = Number.NEGATIVE_INFINITY;
    /** @type {NodeJS.Signals[]} */
    const handled = ['SIGINT', 'SIGTERM', 'SIGHUP'];
    const onSignal = (/** @type {NodeJS.Signals} */ signal) => {
      const now = performance.now();
      if (now - lastTime < echoMs) return;
      lastTime = now;
      signals += 1;
      if (signals > 1) signalLaunch(mark, 'SIGKILL');
      else if (signal !== 'SIGINT' || !isInForeground()) signalLaunch(mark, 'SIGINT');
    };
    for (const signal of handled) process.on(signal, onSignal);
    const child = spawn(...startByWine(wine, command), {
      env: { ...environment, UNCLOSED_HOST: JSON.stringify(host) },
      stdio: 'inherit',
    });
    const endWatch = watchServer(environment.WINEPREFIX ?? '', () => {
      reject(new LaunchFailure(`Cannot finish: the server of ${wine.version} crashed, and every program with it. Try again.`));
    });
    child.on('error', (error) => reject(new LaunchFailure(`Cannot run Wine: ${wine.path}: ${error.message}.`)));
    child.on('exit', (code, signal) => {
      for (const name of handled) process.off(name, onSignal);
      endWatch();
      if (signal !== null) signalLaunch(mark, 'SIGKILL');
      resolve({ code: signal === null ? /** @type {number} */ (code) : 128 + constants.signals[signal], signal, isForced: signals > 1 });
    });
  });
}

/** Wine's own services: they carry the mark too when this launch was the first to start them, but serve others and end by themselves. */
const service = /^C:\\windows\\system32\\(services|plugplay|svchost|winedevice|explorer|rpcss|wineboot|spoolsv)\.exe/i;

/**
 * Sends a signal to every process that carries this launch's mark in its environment, which children inherit.
 *
 * @param {string} mark
 * @param {NodeJS.Signals} signal
 */
function signalLaunch(mark, signal) {
  for (const { pid, command } of findProcesses(mark)) {
    if (service.test(command)) continue;
    try {
      process.kill(pid, signal);
    } catch {
      // It ended meanwhile.
    }
  }
}
