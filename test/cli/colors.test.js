// Colours as the environment and the place of the output have them, from the launcher to the tool.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { inTerminal } from './terminal.js';

const tool = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));
const directory = mkdtempSync(join(tmpdir(), 'unclosed-colors-'));
// Two files of known findings that differ: the comparison has headings.
writeFileSync(join(directory, 'a'), '# unclosed baseline 1: a\n');
writeFileSync(
  join(directory, 'b'),
  '# unclosed baseline 1: b\nleak 0123456789abcdef 1 File: CreateFile < app.exe!main\n',
);
after(() => rmSync(directory, { recursive: true }));

const skip = process.platform === 'win32' ? 'there is no launcher on Windows' : false;
const line = `'${process.execPath}' '${tool}' baseline diff a b`;

/** @type {readonly { place: 'terminal' | 'pipe', env: Record<string, string>, colored: boolean }[]} */
const cases = [
  { place: 'terminal', env: {}, colored: true },
  { place: 'terminal', env: { NO_COLOR: '1' }, colored: false },
  { place: 'terminal', env: { NO_COLOR: '' }, colored: true },
  { place: 'terminal', env: { NO_COLOR: '1', FORCE_COLOR: '3' }, colored: false },
  { place: 'terminal', env: { FORCE_COLOR: '0' }, colored: false },
  { place: 'terminal', env: { TERM: 'dumb' }, colored: false },
  { place: 'pipe', env: {}, colored: false },
  { place: 'pipe', env: { FORCE_COLOR: '1' }, colored: true },
  { place: 'pipe', env: { FORCE_COLOR: '1', NO_COLOR: '1' }, colored: false },
];

describe('colours', { skip }, () => {
  for (const { place, env, colored } of cases) {
    const variables = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    it(`are ${colored ? 'there' : 'absent'} on a ${place} with ${variables.join(' ') || 'nothing set'}`, async () => {
      const plain = { NO_COLOR: undefined, FORCE_COLOR: undefined, TERM: 'xterm-256color' };
      const { stdout } =
        place === 'terminal'
          ? await inTerminal(line, { cwd: directory, env })
          : spawnSync('sh', ['-c', line], {
              cwd: directory,
              encoding: 'utf8',
              env: { ...process.env, ...plain, ...env },
            });
      assert.match(stdout, /Only in the second/);
      assert.equal(stdout.includes('\x1b[1m'), colored, JSON.stringify(stdout));
    });
  }
});
