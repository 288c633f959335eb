import { createHash } from 'node:crypto';
import { existsSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path/posix';
import { makeOnce } from './cache.js';
import { LaunchFailure, say } from './failure.js';
import { forwarderDll } from './forwarder-dll.js';
import { killProcesses } from './processes.js';
import { runStep } from './step.js';
import { startByWine, wineserverOf } from './wine.js';

/** @import { Wine } from './wine.js' */

/** Counted up whenever {@link ensurePrefix} makes a prefix differently. */
const recipe = 1;

/**
 * The name of the prefix for one Wine. Versions do not share a prefix, because each would spend ten seconds on updating
 * it after the other.
 *
 * @param {string} version
 * @param {string} loader path of the loader: two builds may have one version
 * @returns {string}
 */
export function prefixName(version, loader) {
  const readable = version
    .toLowerCase()
    .replaceAll(/[^a-z0-9.]+/g, '-')
    .replace(/-$/, '')
    .slice(0, 60);
  const hash = createHash('sha256').update(`${recipe}\0${version}\0${loader}`).digest('hex').slice(0, 8);
  return `${readable}-${hash}`;
}

/**
 * Makes the tool's own Wine prefix (a C: drive and a registry), unless it is there. The user's ~/.wine is never
 * changed.
 *
 * @param {Wine} wine
 * @param {string} parent
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<string>} the prefix
 */
export async function ensurePrefix(wine, parent, environment) {
  const prefix = join(parent, prefixName(wine.version, realpathSync(wine.path)));
  await makeOnce(prefix, async (temporary) => {
    say(`preparing ${wine.version} (once, about ten seconds) …`);
    const what = 'Cannot create a Wine prefix';
    const env = { ...environment };
    // Prevents the window "the configuration is being updated", and the question whether to download Mono or Gecko.
    delete env.DISPLAY;
    delete env.WAYLAND_DISPLAY;
    env.WINEARCH = 'win64';
    env.WINEPREFIX = temporary;
    env.WINEDLLOVERRIDES = `${env.WINEDLLOVERRIDES};mscoree,mshtml=`;
    try {
      await runStep(what, ...startByWine(wine, ['wineboot', '-i']), { env });
      // By default, Wine 8 claims to be a Windows that is too old for Node.js.
      await runStep(what, ...startByWine(wine, ['winecfg', '-v', 'win10']), { env });
      addMissingDlls(join(temporary, 'drive_c/windows/system32'));
      // The server writes the registry to disk when it ends, and would wait some seconds for other clients. On a busy
      // machine it may have ended by then: -k returns 1 when there is none.
      await runStep(what, wineserverOf(wine), ['-k'], { env, codes: [0, 1] });
      await runStep(what, wineserverOf(wine), ['-w'], { env });
    } finally {
      killProcesses(`WINEPREFIX=${temporary}`); // A failed step may have left some running.
    }
    if (!existsSync(join(temporary, 'system.reg')))
      throw new LaunchFailure(`${what}: ${prefix}: Wine left no registry in it.`);
  });
  const owner = statSync(prefix).uid;
  if (owner !== process.getuid?.()) {
    throw new LaunchFailure(
      `Cannot use the Wine prefix: ${prefix}: it belongs to another user (${owner}), which Wine refuses. Try UNCLOSED_HOME=<a directory of yours>.`,
    );
  }
  return prefix;
}

/**
 * Programs made by today's Rust and Go import ProcessPrng, which Wine 8 lacks. It has the parameters
 * and the meaning of advapi32's RtlGenRandom, whose exported name is SystemFunction036.
 *
 * @param {string} system32
 */
function addMissingDlls(system32) {
  const path = join(system32, 'bcryptprimitives.dll');
  if (existsSync(path)) return;
  writeFileSync(
    path,
    forwarderDll({ dll: 'bcryptprimitives.dll', name: 'ProcessPrng', target: 'advapi32.SystemFunction036' }),
  );
}
