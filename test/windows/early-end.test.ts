import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { fixturePath, runTool } from './tool.ts';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-early-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Accidents in the tool's process. In brackets: the exit code that Node.js would have by itself. */
const accidents = [
  {
    name: 'comes to a halt, as nothing can settle what it waits for (exit code 0)',
    planted: 'require("node:timers/promises").setTimeout = () => new Promise(() => {});',
    args: ['watch', String(process.pid), '--interval', '50ms'],
    said: /^unclosed: Cannot finish: the work came to a halt before it was done\. This is a fault of unclosed: please report it\.\r?$/m,
  },
  {
    name: 'throws where nothing catches it (exit code 1)',
    planted: 'setImmediate(() => { throw new Error("planted") });',
    args: ['run', '--', fixturePath('does-nothing')],
    said: /^unclosed: Error: planted$/m,
  },
  {
    name: 'rejects a promise that nothing awaits (exit code 1)',
    planted: 'setImmediate(() => { Promise.reject(new Error("planted")) });',
    args: ['run', '--', fixturePath('does-nothing')],
    said: /^unclosed: Error: planted$/m,
  },
];

describe('a tool that', () => {
  it.each(accidents)('$name ends with exit code 2 and says so', async ({ planted, args, said }) => {
    const preload = join(directory, 'preload.cjs');
    writeFileSync(preload, planted);
    const { exitCode, stderr } = await runTool(args, undefined, ['--require', preload]);
    expect(stderr).toMatch(said);
    expect(exitCode).toBe(2);
  });
});
