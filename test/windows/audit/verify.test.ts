import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { describe, expect, it } from 'vitest';

const runners = fileURLToPath(new URL('../../runners', import.meta.url));
const vitest = fileURLToPath(new URL('../../../node_modules/vitest/vitest.mjs', import.meta.url));

/** Runs Node.js, with its output in a file, for process.stdout must be no pipe of Linux. */
async function runNode(
  args: readonly string[],
  cwd: string,
): Promise<{ readonly code: number; readonly text: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-verify-'));
  const output = join(directory, 'output');
  const file = openSync(output, 'w');
  const { UNCLOSED_MARK: _mark, VITEST: _vitest, NODE_OPTIONS: _options, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd, stdio: ['ignore', file, file], env: { ...env, NO_COLOR: '1' } });
  await once(child, 'exit');
  closeSync(file);
  const text = readFileSync(output, 'utf8');
  rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  return { code: child.exitCode ?? -1, text };
}

const runNodeTest = async (file: string) =>
  await runNode(['--test-reporter=tap', join(runners, 'node-test', file)], runners);

const runVitest = async (file: string) =>
  await runNode([vitest, 'run', '--reporter=tap-flat', file], join(runners, 'vitest'));

/** The results of a runner that writes TAP: `ok keeps`. */
function listResults(text: string): readonly string[] {
  return [...text.matchAll(/^ *((?:not )?ok) \d+ - (.*?)(?: # .*)?$/gm)].map(
    ([, result, name]) => `${result} ${name!.replace(/^.* > /, '')}`,
  );
}

const runs = [
  ['node:test', runNodeTest, 'mjs'],
  ['vitest', runVitest, 'test.mjs'],
] as const;

describe.each(runs)('verifyNoLeaks() of %s', (runner, run, extension) => {
  it('fails the tests that leave handles open, and names them and the lines that made them', async () => {
    const { code, text } = await run(`leaks.${extension}`);
    expect(code, text).toBe(1);
    const results = listResults(text);
    expect(results).toEqual(
      expect.arrayContaining([
        'ok keeps',
        'not ok evicts',
        'not ok owns',
        'ok closes late',
        'not ok is told of a leak by a call',
        'not ok leaks after a hook that failed',
      ]),
    );
    const whole = text.replaceAll('\\\\', '\\').replaceAll('\\"', '"');
    expect(whole).toMatch(/1 handle was left open by “(?:Cache > )?evicts”:/);
    expect(whole).toContain(process.execPath);
    expect(whole).toMatch(/1 handle was left open by “leaks after a hook that failed”:/);
    expect(whole).toMatch(/2 handles were left open by “(?:Cache > )?owns”:/);
    expect(whole).toMatch(/made at makePipe \(.*open-handles\.mjs:\d+:\d+\)/);
    if (runner === 'vitest') {
      expect(whole).toMatch(
        /left open by one of the tests “[^”]*one leaks”, “[^”]*the other does not”, which ran at the same time/,
      );
      expect(results.filter((result) => /^not ok (?:one leaks|the other does not)$/.test(result))).toHaveLength(1);
    }
  });

  it('passes the tests that close what they open, and use what was there before', async () => {
    const { code, text } = await run(`clean.${extension}`);
    expect(code, text).toBe(0);
    expect(listResults(text).filter((result) => !result.startsWith('ok '))).toEqual([]);
    expect(listResults(text).length).toBeGreaterThanOrEqual(9);
  });
});
