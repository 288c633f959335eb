import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants } from 'node:os';
import { dirname, join } from 'node:path/posix';
import { cacheDirectory } from './cache.js';
import { LaunchFailure, say } from './failure.js';
import { hasUtf8Locale, onDriveZ, wineEnvironment } from './host.js';
import { fetchNode, fetchPackage, koffiPackage, nodePackage } from './packages.js';
import { ensurePrefix } from './prefix.js';
import { runProgram } from './run.js';
import { explainLostServer } from './session.js';
import { findWine } from './wine.js';

/** @import { End } from './run.js' */
/** @import { Loader, Wine } from './wine.js' */

/**
 * A Windows to run programs on.
 *
 * @typedef {object} Machine
 * @property {Wine} wine
 * @property {string} node Unix path of node.exe
 * @property {string | undefined} nativeModules Unix path; undefined when koffi's own package is installed
 * @property {NodeJS.ProcessEnv} environment
 */

/** The exit codes of a tool that has said why by itself; see docs/command-line.md. */
const errorCode = 2;
const interruptedCode = 130;

/** The script's path has no links. To check that, Node.js would look at every directory of the path, for every file. */
export const withoutRealPaths = ['--preserve-symlinks', '--preserve-symlinks-main'];

/**
 * Finds Wine. On first use, makes or fetches everything else that is needed to run Windows programs.
 *
 * @param {NodeJS.ProcessEnv} environment
 * @returns {Promise<Machine>}
 * @throws {LaunchFailure}
 */
export async function prepareMachine(environment) {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new LaunchFailure(
      `Cannot run on ${process.platform} ${process.arch}: unclosed audits 64-bit Windows programs, on Windows x64 and, through Wine, on Linux x64.`,
    );
  }
  const wine = findWine(environment);
  const cache = cacheDirectory(environment);
  const env = wineEnvironment(environment, { isUtf8: hasUtf8Locale() });
  // The two halves keep the network and the processor busy at the same time. If one fails, the other must still end.
  const [prefix, nativeModules, fetchedNode] = await Promise.allSettled([
    ensurePrefix(wine, join(cache, 'prefixes'), env),
    ensureKoffi(cache),
    fetchNode(cache),
  ]);
  for (const result of [prefix, nativeModules, fetchedNode]) if (result.status === 'rejected') throw result.reason;
  env.WINEPREFIX = /** @type {PromiseFulfilledResult<string>} */ (prefix).value;
  const node = /** @type {PromiseFulfilledResult<string>} */ (fetchedNode).value;
  endSearchForNodeDll(node);
  return {
    wine,
    node,
    nativeModules: /** @type {PromiseFulfilledResult<string | undefined>} */ (nativeModules).value,
    environment: env,
  };
}

/**
 * Runs a script in Windows Node.js under Wine, with this process's own stdin, stdout and stderr.
 *
 * The streams are inherited, not relayed: a Windows program reads and writes Unix pipes, files and terminals by
 * itself. Node.js's `process.stdout`, `process.stderr` and `console` are the exception: they throw EBADF on a Unix
 * pipe, so the Windows side writes by `fs.writeSync`.
 *
 * @param {string} script Unix path
 * @param {readonly string[]} args as the script gets them
 * @returns {Promise<number>} the exit code for this process
 */
export async function launch(script, args) {
  try {
    const machine = await prepareMachine(process.env);
    const { code, complaint } = judgeEnd(
      await runProgram(machine, [machine.node, ...withoutRealPaths, onDriveZ(script), ...args]),
      machine.wine,
    );
    if (complaint !== undefined) say(complaint);
    return code;
  } catch (error) {
    if (!(error instanceof LaunchFailure)) throw error;
    say(error.message);
    return errorCode;
  }
}

/**
 * The exit code for an end, with a complaint if the tool did not end by itself. A launch succeeds only by the tool's
 * own verdict. The exit code of its process does not count.
 *
 * @param {End} end
 * @param {Loader} wine
 * @returns {{ code: number, complaint?: string }}
 */
export function judgeEnd({ said, code, signal, lostServer, interruptions }, wine) {
  if (said.exitCode !== undefined) return { code: toLinux(said.exitCode) };
  if (interruptions > 1) return { code: 128 + constants.signals.SIGKILL };
  if (interruptions > 0)
    return { code: interruptedCode, complaint: 'Cannot finish: interrupted before there was anything to report.' };
  if (lostServer) return { code: errorCode, complaint: explainLostServer(wine) };
  if (code === errorCode) return { code: errorCode };
  const end = signal === null ? `exit code ${code}` : `signal ${signal}`;
  return {
    code: errorCode,
    complaint: `Cannot finish: Windows Node.js ${nodePackage.version} ended early under ${wine.version} (${end}). Try again, and WINEDEBUG=err+all in the environment to see Wine's reason.`,
  };
}

/**
 * Linux keeps the low eight bits of an exit code. A failure stays one.
 *
 * @param {number} exitCode
 */
function toLinux(exitCode) {
  return exitCode & 0xff || (exitCode === 0 ? 0 : 1);
}

/**
 * Makes koffi start quicker. For each of the fifty functions that koffi needs of Node.js, it asks for the module
 * `node.dll` (some builds have one) before `node.exe`. Windows searches only the loaded modules. Wine first searches
 * all directories of the PATH, which takes half of koffi's start. A directory of that name in the first place ends the
 * search: Wine cannot open it as a file, and answers "not loaded".
 *
 * @param {string} node Unix path of node.exe
 */
function endSearchForNodeDll(node) {
  const path = join(dirname(node), 'node.dll');
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    rmSync(path, { force: true }); // of an older version
    mkdirSync(path);
  } catch {
    // The cache cannot be written to. The start only takes longer.
  }
}

/**
 * Fetches koffi's binary for Windows, which npm on Linux does not install unless the project's .npmrc has os=win32.
 *
 * @param {string} cache
 * @returns {Promise<string | undefined>} where koffi looks for it, as `process.resourcesPath`
 */
async function ensureKoffi(cache) {
  const places = createRequire(import.meta.url).resolve.paths('koffi') ?? [];
  const modules = places.find((place) => existsSync(join(place, 'koffi', 'package.json')));
  if (modules !== undefined && existsSync(join(modules, koffiPackage.name))) return undefined;
  const resources = join(cache, 'packages', `koffi-win32-x64-${koffiPackage.version}`);
  await fetchPackage(koffiPackage, join(resources, 'koffi'));
  return resources;
}
