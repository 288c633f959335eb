import { randomUUID } from 'node:crypto';
import { describeTerminal, mayReadTerminal, onDriveZ } from './host.js';
import { findProcesses, killProcesses, sendSignal } from './processes.js';
import { runInSession, startSession } from './session.js';
import { VerdictFile } from './verdict.js';

/** @import { Host } from '../src/wine/host.ts' */
/** @import { Machine } from './launch.js' */
/** @import { ProgramEnd, Session } from './session.js' */
/** @import { Said } from './verdict.js' */

/**
 * How the tool ended.
 *
 * @typedef {ProgramEnd & { said: Said, interruptions: number }} End `said` is what it said of itself; the user sent so
 * many signals
 */

/** One signal may come twice, to the group and from a parent that passes it on, as npm and timeout(1) do. */
const echoMs = 200;
/**
 * How often to start a program that loses its server before it begins. It has done nothing then, so that it may start
 * again.
 */
const attempts = 3;

/**
 * Runs the tool to its end. Starts it again if it could not begin because Wine's server was about to end.
 *
 * @param {Machine} machine
 * @param {readonly [program: string, ...args: string[]]} command
 * @returns {Promise<End>}
 */
export async function runProgram(machine, command) {
  for (let attempt = 1; ; attempt += 1) {
    const session = await startSession(machine.wine, machine.environment);
    const end = await runOnce(machine, session, command);
    if (!end.lostServer || end.said.hasStarted || end.interruptions > 0 || attempt === attempts) return end;
  }
}

/**
 * Signals (tried on Wine 8): SIGINT makes Wine raise CTRL_C_EVENT in the process that got it, so that the tool can end
 * its work and report. SIGTERM and SIGHUP mean nothing to a Windows program and would only kill Wine, so they are
 * passed on as SIGINT. The second signal of any kind ends everything that belongs to this launch.
 *
 * The Windows programs have a session of Unix of their own. So a signal to this process's group (from timeout(1), a job
 * runner, or a terminal that is closed) reaches this process alone, which passes it on to them all. Ctrl-Z stops them
 * in the same way.
 *
 * @param {Machine} machine
 * @param {Session} session
 * @param {readonly string[]} command
 * @returns {Promise<End>}
 */
async function runOnce({ wine, environment, nativeModules }, session, command) {
  const verdict = new VerdictFile();
  const stdout = describeTerminal(1);
  const stderr = describeTerminal(2);
  /** @type {Host} */
  const host = {
    wine: wine.version,
    ...(stdout && { stdout }),
    ...(stderr && { stderr }),
    ...(nativeModules !== undefined && { nativeModules: onDriveZ(nativeModules) }),
    launch: randomUUID(),
    verdict: verdict.path,
  };
  const text = JSON.stringify(host);
  const mark = `UNCLOSED_HOST=${text}`;
  const signals = new Signals(mark);
  try {
    const end = await runInSession(wine, session, command, {
      env: { ...environment, UNCLOSED_HOST: text },
      detached: true,
      stdio: [mayReadTerminal() ? 'inherit' : 'ignore', 'inherit', 'inherit'],
    });
    const said = verdict.read();
    // Programs that the audited program has started may go on after a complete audit, but not after an incomplete one.
    if (said.exitCode === undefined) killLaunch(mark);
    return { ...end, said, interruptions: signals.interruptions };
  } finally {
    signals.close();
    verdict.close();
  }
}

/** Hears the signals to this process, and passes them on to the programs of a launch. */
class Signals {
  interruptions = 0;
  #lastTime = Number.NEGATIVE_INFINITY;
  #isStopped = false;
  /** @type {string} */
  #mark;
  /** @type {readonly [NodeJS.Signals, () => void][]} */
  #handlers;

  /** @param {string} mark in the environment of all that belongs to the launch */
  constructor(mark) {
    this.#mark = mark;
    const interrupt = () => this.#interrupt();
    this.#handlers = [
      ['SIGINT', interrupt],
      ['SIGTERM', interrupt],
      ['SIGHUP', interrupt],
      ['SIGTSTP', () => this.#stop()],
      ['SIGCONT', () => this.#continue()],
    ];
    for (const [signal, handler] of this.#handlers) process.on(signal, handler);
  }

  close() {
    for (const [signal, handler] of this.#handlers) process.off(signal, handler);
  }

  #interrupt() {
    if (performance.now() - this.#lastTime < echoMs) return;
    this.interruptions += 1;
    if (this.interruptions > 1) killLaunch(this.#mark);
    else signalLaunch(this.#mark, 'SIGINT');
    // An echo may have waited behind this work, which takes longer than echoMs on a busy machine.
    this.#lastTime = performance.now();
  }

  #stop() {
    this.#isStopped = true;
    signalLaunch(this.#mark, 'SIGSTOP');
    process.kill(process.pid, 'SIGSTOP');
  }

  #continue() {
    if (this.#isStopped) signalLaunch(this.#mark, 'SIGCONT');
    this.#isStopped = false;
  }
}

/**
 * Wine's own services, and the console that it makes of a terminal. They have the mark, too, if this launch started
 * them, but services serve other launches, and all end by themselves. Wine 10 ends every program of a console whose
 * process gets a SIGINT.
 */
const service =
  /^C:\\windows\\system32\\(conhost|services|plugplay|svchost|winedevice|explorer|rpcss|wineboot|spoolsv)\.exe/i;
const isProgram = (/** @type {string} */ command) => !service.test(command);

/** @param {string} mark in the environment of all that belongs to a launch */
function killLaunch(mark) {
  killProcesses(mark, isProgram);
}

/**
 * @param {string} mark likewise
 * @param {NodeJS.Signals} signal
 */
function signalLaunch(mark, signal) {
  for (const { pid, command } of findProcesses(mark)) if (isProgram(command)) sendSignal(pid, signal);
}
