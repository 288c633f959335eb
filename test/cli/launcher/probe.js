// Runs in Windows Node.js, started by the launcher: does the one thing that its first argument names, and says so to
// the launcher as the tool does.
import { spawn } from 'node:child_process';
import { readFileSync, writeSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { sayVerdict } from '../../../dist/wine/verdict.js';

const { verdict = 'NUL' } = JSON.parse(process.env['UNCLOSED_HOST'] ?? '{}');
const [what, ...args] = process.argv.slice(2);

/** @type {Record<string, () => unknown>} */
const acts = {
  /** Says who and where it is. */
  facts() {
    const { platform, argv, env } = process;
    const host = JSON.parse(env.UNCLOSED_HOST ?? 'null');
    print(
      1,
      `${JSON.stringify({ platform, args: argv.slice(3), cwd: process.cwd(), host, NODE_OPTIONS: env.NODE_OPTIONS })}\n`,
    );
  },
  /** Writes to both streams; a number of lines to stdout. */
  print() {
    print(2, 'to stderr\n');
    print(1, '0123456789abcdef0123456789abcde\n'.repeat(Number(args[0])));
  },
  exit() {
    process.exitCode = Number(args[0]);
  },
  /** Ends like a tool that finds nothing, and says nothing. */
  vanish() {
    process.exit(0);
  },
  /** Copies stdin to stdout. */
  copy() {
    print(1, readFileSync(0));
  },
  abort() {
    process.abort();
  },
  /** Prints by way of Node.js' own streams, once they are replaced. */
  async streams() {
    const { readHost } = await import(new URL('../../../dist/wine/host.js', import.meta.url).href);
    const { installStandardStreams } = await import(
      new URL('../../../dist/wine/process-streams.js', import.meta.url).href
    );
    installStandardStreams(readHost(process.env));
    const { isTTY, columns } = process.stdout;
    console.log(JSON.stringify({ isTTY, columns, colorDepth: process.stdout.getColorDepth?.() }));
    console.log(`\x1b[31m${'é'.repeat(78)}\x1b[39m|`);
    console.error('to stderr');
    // The destruction of a pipe touches process.stderr.
    await new Promise((resolve) => spawn(process.execPath, ['-v'], { stdio: 'pipe' }).on('close', resolve));
    console.log('end');
  },
  /** Starts a program that runs for a minute, and waits for Ctrl-C; with `stubborn` in vain. */
  wait() {
    spawn(process.execPath, [fileURLToPath(import.meta.url), 'sleep'], { stdio: 'inherit' });
    process.on('SIGINT', () => {
      print(1, 'interrupted\n');
      if (args[0] === 'stubborn') return;
      sayVerdict(verdict, 'ended 130');
      process.exit(130);
    });
    setTimeout(() => {}, 60_000);
    print(1, 'waiting\n');
  },
  sleep() {
    process.on('SIGINT', () => {});
    setTimeout(() => {}, 60_000);
  },
};

/**
 * @param {1 | 2} fd
 * @param {string | Uint8Array} content
 */
function print(fd, content) {
  for (let rest = Buffer.from(content); rest.length > 0; ) rest = rest.subarray(writeSync(fd, rest));
}

sayVerdict(verdict, 'started');
await acts[what ?? '']?.();
if (!/^(?:wait|sleep)$/.test(what ?? '')) sayVerdict(verdict, `ended ${Number(process.exitCode ?? 0)}`);
