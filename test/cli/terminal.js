import { spawn } from 'node:child_process';

/**
 * Runs a shell's line in a terminal of 80 columns.
 *
 * The terminal's input stays open until the line has ended: script(1) may end without any output when it meets the end
 * of its own input first.
 *
 * @param {string} line
 * @param {object} [options]
 * @param {string} [options.cwd]
 * @param {NodeJS.ProcessEnv} [options.env]
 * @param {(write: (text: string) => void, shown: () => string) => Promise<void>} [options.type] types on the keyboard,
 * and may look
 *   at what the terminal got until then
 * @returns {Promise<{ status: number | null, stdout: string }>} what the terminal got, with its ends of lines
 */
export async function inTerminal(line, { cwd, env = {}, type } = {}) {
  const plain = {
    TERM: 'xterm-256color',
    NO_COLOR: undefined,
    FORCE_COLOR: undefined,
    CI: undefined,
    COLORTERM: undefined,
  };
  const child = spawn('script', ['-qec', `stty cols 80 rows 30; ${line}`, '/dev/null'], {
    cwd,
    env: { ...process.env, ...plain, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let stdout = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (stdout += text));
  child.stdin.on('error', () => {}); // It ended before all was typed.
  const ended = new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => child.stdin.end());
    child.on('close', resolve);
  });
  await Promise.all([
    ended,
    type?.(
      (text) => child.stdin.write(text),
      () => stdout,
    ),
  ]);
  return { status: child.exitCode, stdout };
}
