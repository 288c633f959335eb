import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Holder } from '../handles/holder.ts';
import { Target } from '../handles/target.ts';
import { runTool } from '../tool.ts';
import { hex, type Row } from './listing.ts';

let holder: Holder;
let states: Target;
beforeAll(async () => {
  [holder, states] = await Promise.all([Holder.start(), Target.start('holds-states')]);
});
afterAll(() => {
  holder?.[Symbol.dispose]();
  states?.[Symbol.dispose]();
});

describe('unclosed find', () => {
  it('says who holds a file, by its path however it is written, and a loaded program', async () => {
    const path = states.value('path');
    for (const text of [path, path.toUpperCase(), path.replaceAll('\\', '/'), path.slice(3)]) {
      const { stdout, exitCode, stderr } = await runTool(['find', text, '--json']);
      expect({ exitCode, stderr }, text).toEqual({ exitCode: 0, stderr: '' });
      const { holders } = JSON.parse(stdout) as { holders: readonly Row[] };
      expect(holders, text).toHaveLength(1);
      expect(holders[0], text).toMatchObject({
        pid: states.processId,
        process: 'holds-states.exe',
        handle: states.value('file'),
        type: 'File',
      });
    }
    const program = await runTool(['find', 'holds-states.exe']);
    expect(program.exitCode).toBe(0);
    expect(program.stdout).toMatch(
      new RegExp(`^holds-states\\.exe \\(${states.processId}\\)\n +Module +.*\\\\holds-states\\.exe\n`, 'm'),
    );
  });

  it('says who has a port, and does not take 80 for 8080', async () => {
    const listening = holder.held.find(({ key }) => key === 'listening TCP')!;
    const port = listening.socket!.local!.split(':').at(-1)!;
    const { stdout, exitCode } = await runTool(['find', `:${port}`, '--ndjson']);
    expect(exitCode).toBe(0);
    const rows = stdout
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Row);
    expect(rows.map((row) => row['handle'])).toContain(hex(listening.value));
    for (const row of rows) expect(`${row['local']} ${row['remote']}`).toMatch(new RegExp(`:${port}\\b`));
    expect((await runTool(['find', `:${port.slice(1)}`])).exitCode).toBe(1);
  });

  it('says so and exits with 1 when no process holds it', async () => {
    const { stdout, stderr, exitCode } = await runTool(['find', 'C:\\no\\such\\file.txt']);
    expect({ stdout, exitCode }).toEqual({ stdout: '', exitCode: 1 });
    expect(stderr).toMatch(/^unclosed: No process holds "C:\\no\\such\\file\.txt"\./);
  });

  it('finds a file that another process has open', async () => {
    const path = join(tmpdir(), `unclosed-found-${process.pid}.txt`);
    writeFileSync(path, '');
    const child = spawn(
      process.execPath,
      ['-e', `require('fs').openSync(${JSON.stringify(path)}); console.log('open'); setInterval(() => {}, 1000)`],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(child.stdout, 'data');
    try {
      const { stdout } = await runTool(['find', path]);
      expect(stdout).toContain(`node.exe (${child.pid})`);
    } finally {
      child.kill();
    }
  });
});
