import { spawn } from 'node:child_process';
import { isatty } from 'node:tty';
import { fileURLToPath } from 'node:url';
import { say } from '../launcher/failure.js';
import { onDriveZ } from '../launcher/host.js';
import { prepareMachine } from '../launcher/launch.js';
import { explainLostServer, runInSession, startSession } from '../launcher/session.js';

/**
 * A place to run Windows programs: this machine itself, or Wine.
 *
 * @typedef {object} Windows
 * @property {string} node the Node.js to run the project's code in
 * @property {(path: string) => string} toWindowsPath
 * @property {(program: string, args: readonly string[], variables?: NodeJS.ProcessEnv) => Promise<number>} run with
 *   this process's stdout and stderr, and more variables in the environment; gives the exit code
 */

/** @type {import('node:child_process').StdioOptions} */
const stdio = ['ignore', 'inherit', 'inherit'];

/** @returns {Promise<Windows>} */
export async function findWindows() {
  if (process.platform === 'win32') {
    return {
      node: process.execPath,
      toWindowsPath: (path) => path,
      run: (program, args, variables) => runToEnd(program, args, { ...process.env, ...variables }),
    };
  }
  const { wine, node, environment } = await prepareMachine(process.env);
  return {
    node,
    toWindowsPath: onDriveZ,
    async run(program, args, variables) {
      const session = await startSession(wine, environment);
      const { code, lostServer } = await runInSession(wine, session, [program, ...args], {
        env: { ...environment, ...variables },
        stdio,
      });
      if (!lostServer) return code ?? 128;
      say(explainLostServer(wine));
      return 2;
    },
  };
}

/**
 * Runs a script in Windows Node.js. The script need not know about Wine: `process.stdout` of a Node.js under Wine
 * throws on a Unix pipe, but works on the pipes of a Windows parent, and `relay.js` is that parent.
 *
 * @param {Windows} windows
 * @param {string} script
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} [further] variables of its environment
 * @returns {Promise<number>}
 */
export function runScript(windows, script, args, further = {}) {
  const node = windows.toWindowsPath(windows.node);
  const command = [windows.toWindowsPath(script), ...args];
  // On Windows, and so under Wine, many tools take every output for a terminal with colours.
  const variables = { ...further, ...(isatty(1) ? {} : { NO_COLOR: '1' }) };
  if (process.platform === 'win32') return windows.run(windows.node, command, variables);
  const relay = fileURLToPath(new URL('relay.js', import.meta.url));
  return windows.run(windows.node, [windows.toWindowsPath(relay), node, ...command], variables);
}

/**
 * @param {string} file
 * @param {readonly string[]} args
 * @param {NodeJS.ProcessEnv} env
 * @returns {Promise<number>}
 */
function runToEnd(file, args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { env, stdio });
    child.on('error', reject);
    child.on('exit', (code) => resolve(code ?? 128));
  });
}
