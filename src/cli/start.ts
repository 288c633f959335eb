import { writeSync } from 'node:fs';

import { readHost } from '../wine/host.ts';
import { installStandardStreams } from '../wine/standard-streams.ts';

/**
 * Starts the tool on the Windows side: what the launcher said of the host first, for what comes after it looks at
 * `process.stdout` as soon as it is loaded.
 *
 * @throws Error when the launcher's word is damaged
 */
export async function start(): Promise<void> {
  const host = readHost(process.env);
  if (host !== undefined) {
    installStandardStreams(host);
    // The one place beside its own packages where koffi looks for its binary.
    Object.assign(process, { resourcesPath: host.nativeModules });
  }
  const main = await import('./main.ts').catch(refuseWithoutKoffi);
  await main?.runCommandLine();
}

/**
 * Ends this process with the exit code that the command has set, once all is written. At once, as linkers end: what Node.js takes apart at an
 * orderly end has failed one time of some eight thousand, after a report that was whole, with an exit code that says nothing (docs/platform.md).
 *
 * It ends in order where Node.js itself was asked to write something at its end, and where koffi cannot be loaded.
 */
export async function end(): Promise<void> {
  if (process.env['NODE_V8_COVERAGE'] !== undefined || process.execArgv.some((option) => /^--(?:cpu|heap)-prof\b/.test(option))) return;
  const main = await import('./main.ts').catch(() => undefined);
  main?.endProcess();
}

/** koffi calls Windows, and is loaded with the first module of the bundle: without it no command can say anything. */
function refuseWithoutKoffi(error: unknown): undefined {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (!/koffi/i.test(text)) throw error;
  const [reason = ''] = (error instanceof Error ? error.message : text).split(/\r?\n/, 1);
  writeSync(2, `unclosed: Cannot load koffi, which calls Windows: ${reason.replace(/\.$/, '')}. Try to install unclosed again, with optional dependencies.\n`);
  process.exitCode = 2;
  return undefined;
}
