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
  const { runCommandLine } = await import('./main.ts');
  await runCommandLine();
}
