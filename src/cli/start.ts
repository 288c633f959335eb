import { writeSync } from 'node:fs';

import { hostVariable, readHost } from '../wine/host.ts';
import { installStandardStreams } from '../wine/process-streams.ts';
import { sayVerdict, type VerdictWord } from '../wine/verdict.ts';
import { exitCodes } from './exit-codes.ts';

/** Whether the command's work is done, so that its exit code means what it says. */
let isDone = false;
/** Tells the launcher on Linux; on Windows there is none. */
let tellLauncher: (word: VerdictWord) => void = () => {};

/**
 * Runs the command that this process was started with. Never rejects.
 *
 * What the launcher said of the host comes first, for all that comes after it looks at `process.stdout` as soon as it
 * is loaded.
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
 * Ends this process with the exit code that the command has set, once all is written.
 *
 * It tells the launcher, too, which takes nothing else for a result.
 */
export async function end(): Promise<void> {
  isDone = true;
  const exitCode = Number(process.exitCode ?? exitCodes.error);
  tellLauncher(`ended ${exitCode}`);
  await endProcess(exitCode);
}

function heedHost(): void {
  const host = readHost(process.env);
  if (host === undefined) return;
  const { verdict, ...rest } = host;
  if (verdict !== undefined) tellLauncher = (word) => sayVerdict(verdict, word);
  // The audited program has our environment, and may be this very tool.
  process.env[hostVariable] = JSON.stringify(rest);
  tellLauncher('started');
  installStandardStreams(host);
  // The one place beside its own packages where koffi looks for its binary.
  Object.assign(process, { resourcesPath: host.nativeModules });
}

/**
 * Node.js ends with exit code 0 when nothing is left that could settle what is awaited: "no findings", without a
 * report.
 */
function refuseSilentEnd(): void {
  if (isDone) return;
  process.exitCode = exitCodes.error;
  complain('Cannot finish: the work came to a halt before it was done. This is a fault of unclosed: please report it.');
}

/**
 * Node.js itself would end with exit code 1, "findings". The launcher hears nothing, so that it ends what the tool has
 * started.
 */
async function endByError(error: unknown): Promise<void> {
  isDone = true;
  process.exitCode = exitCodes.error;
  complain(textOf(error));
  const processes = await import('../process/spawn.ts').catch(() => undefined); // without koffi there are none
  await processes?.endSuspendedProcesses();
  await endProcess(exitCodes.error);
}

/**
 * At once, as linkers end: what Node.js takes apart at an orderly end has failed one time of some eight thousand, after
 * a report that was whole, with an exit code that says nothing (docs/platform.md). It ends in order where Node.js
 * itself was asked to write something at its end, and where koffi cannot be loaded.
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

/** koffi calls Windows, and is loaded with the first module of the bundle: without it no command can say anything. */
function refuseWithoutKoffi(error: unknown): undefined {
  const text = textOf(error);
  if (!/koffi/i.test(text)) throw error;
  const [reason = ''] = (error instanceof Error ? error.message : text).split(/\r?\n/, 1);
  process.exitCode = exitCodes.error;
  complain(
    `Cannot load koffi, which calls Windows: ${reason.replace(/\.$/, '')}. Try to install unclosed again, with optional dependencies.`,
  );
  return undefined;
}

function textOf(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

function complain(text: string): void {
  try {
    writeSync(2, `unclosed: ${text}\n`);
  } catch {
    // Nobody hears it: the exit code says it alone.
  }
}
