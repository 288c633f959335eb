import { writeSync } from 'node:fs';

import { hostVariable, readHost } from '../wine/host.ts';
import { installStandardStreams } from '../wine/process-streams.ts';
import { watchLauncher } from '../wine/launcher-watch.ts';
import { sayVerdict, type VerdictWord } from '../wine/verdict.ts';
import { exitCodes } from './exit-codes.ts';

/** Whether the command's work is done, so that its exit code can be trusted. */
let isDone = false;
/** Tells the launcher on Linux. On Windows there is no launcher. */
let tellLauncher: (word: VerdictWord) => void = () => {};

/**
 * Runs the command that this process was started with. Never rejects.
 *
 * The launcher's description of the host comes first, because the other modules look at `process.stdout` as soon as
 * they are loaded.
 */
export async function start(): Promise<void> {
  process.on('exit', refuseSilentEnd).on('uncaughtException', (error) => void endByError(error));
  try {
    heedHost();
    const main = await import('./main.ts').catch(refuseWithoutKoffi);
    await main?.runCommandLine();
  } catch (error) {
    await endByError(error);
  }
}

/**
 * Ends this process with the exit code that the command has set. Everything must be written by then.
 *
 * It also tells the launcher, which accepts no other result.
 */
export async function end(): Promise<void> {
  isDone = true;
  // Node.js has it as a signed number: that of an access violation is below 0.
  const exitCode = Number(process.exitCode ?? exitCodes.error) >>> 0;
  tellLauncher(`ended ${exitCode}`);
  await endProcess(exitCode);
}

function heedHost(): void {
  const host = readHost(process.env);
  if (host === undefined) return;
  const { verdict, ...rest } = host;
  if (verdict !== undefined) {
    tellLauncher = (word) => sayVerdict(verdict, word);
    watchLauncher(verdict, endWithoutLauncher);
  }
  // The audited program inherits our environment, and may be this very tool.
  process.env[hostVariable] = JSON.stringify(rest);
  tellLauncher('started');
  installStandardStreams(host);
  // Besides its own packages, koffi looks for its binary only in this place.
  Object.assign(process, { resourcesPath: host.nativeModules });
}

/** The launcher was killed: the command ends as after the end of a console, and one that does not listen at once. */
function endWithoutLauncher(): void {
  tellLauncher = () => {};
  if (!process.emit('SIGHUP')) void endByError('Cannot finish: the launcher was killed.');
}

/**
 * When a promise can never settle, Node.js ends with exit code 0, which would mean "no findings" although no report was
 * written.
 */
function refuseSilentEnd(): void {
  if (isDone) return;
  process.exitCode = exitCodes.error;
  complain('Cannot finish: the work came to a halt before it was done. This is a fault of unclosed: please report it.');
}

/**
 * Ends after an error. Node.js itself would end with exit code 1, "findings". The launcher gets no verdict, so it ends
 * the programs that the tool has started.
 */
async function endByError(error: unknown): Promise<void> {
  isDone = true;
  process.exitCode = exitCodes.error;
  complain(textOf(error));
  const processes = await import('../process/spawn.ts').catch(() => undefined); // Without koffi, no process was started.
  await processes?.endSuspendedProcesses();
  await endProcess(exitCodes.error);
}

/**
 * Ends this process at once, as linkers do. In one of some eight thousand runs, the orderly end of Node.js failed after
 * the report was written, with a meaningless exit code (docs/platform.md). The end is orderly only where Node.js must
 * still write a profile or coverage data, and where koffi cannot be loaded.
 */
async function endProcess(exitCode: number): Promise<void> {
  if (
    process.env['NODE_V8_COVERAGE'] !== undefined ||
    process.execArgv.some((option) => /^--(?:cpu|heap)-prof\b/.test(option))
  )
    return;
  const main = await import('./main.ts').catch(() => undefined);
  main?.endProcess(exitCode);
}

/** Explains why koffi cannot be loaded. Without it, no command works. */
async function refuseWithoutKoffi(error: unknown): Promise<undefined> {
  const text = textOf(error);
  if (!/koffi/i.test(text)) throw error;
  const { explainLoadFailure, isSmartAppControlOn, tryBinary } = await import('./startup/load-failure.ts');
  process.exitCode = exitCodes.error;
  complain(explainLoadFailure(error instanceof Error ? error : { message: text }, tryBinary(), isSmartAppControlOn));
  return undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function complain(text: string): void {
  try {
    writeSync(2, `unclosed: ${text}\n`);
  } catch {
    // Nothing reads stderr: the exit code must be enough.
  }
}
