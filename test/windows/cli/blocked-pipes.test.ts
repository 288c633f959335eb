import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { Target } from '../handles/target.ts';
import { runTool } from '../tool.ts';
import { list, type Listing } from './listing.ts';

describe('50 synchronous pipes with a call pending for ever', () => {
  let target: Target;
  beforeAll(async () => {
    target = await Target.start('blocks-pipes');
  });
  afterAll(() => target?.[Symbol.dispose]());

  /** Has the tool ask for files in its helper, as it does on Windows, while `work` is done. */
  async function withHelper<T>(work: () => Promise<T>): Promise<T> {
    process.env['UNCLOSED_FILES_IN_HELPER'] = '1';
    try {
      return await work();
    } finally {
      delete process.env['UNCLOSED_FILES_IN_HELPER'];
    }
  }

  it('are listed and found, with their names where the platform tells them', async () => {
    const { handles } = await list(String(target.processId));
    const rows = new Map(handles.map((row) => [row['handle'], row]));
    expect(target.said).toHaveLength(50);
    for (const [, value, name] of target.said) {
      const row = rows.get(value)!;
      expect(row['type']).toBe('File');
      // Windows does not tell them; Wine does.
      if (row['nameProblem'] === undefined) expect(String(row['name']).toLowerCase()).toBe(name!.toLowerCase());
      else expect(row['nameProblem']).toBe('timed out');
    }
    const found = await runTool(['find', `unclosed-blocked-${target.processId}-`]);
    if (handles.every((row) => row['nameProblem'] === undefined)) expect(found).toMatchObject({ exitCode: 0 });
  });

  it('are shown as timed out where the questions really block, and everything else in full', async () => {
    // This helper reads from files instead of asking for their names: that blocks on Wine as on Windows (and moves
    // their positions, so no process but the target may be looked at). A pipe that listens refuses at once, so 25 of
    // them block.
    const reading = ['--require', fileURLToPath(new URL('../handles/reading-helper.cjs', import.meta.url))];
    const pid = String(target.processId);
    const [json, table] = await withHelper(async () => [
      await runTool(['handles', pid, '--json'], undefined, reading),
      await runTool(['handles', pid], undefined, reading),
    ]);
    const rows = new Map((JSON.parse(json.stdout) as Listing).handles.map((row) => [row['handle'], row]));
    for (const [call, value] of target.said) {
      expect(rows.get(value), call).toMatchObject({
        type: 'File',
        ...(call === 'ReadFile' ? { nameProblem: 'timed out' } : {}),
      });
    }
    const keys = [...rows.values()].filter((row) => row['type'] === 'Key');
    expect(keys.length).toBeGreaterThan(0);
    for (const key of keys) expect(key).toHaveProperty('name');
    expect(json.exitCode).toBe(0);
    expect(table.stdout.split('\n').filter((line) => line.endsWith('name timed out')).length).toBeGreaterThanOrEqual(
      25,
    );
  });

  it('are listed the same when all files are asked in the helper process', async () => {
    const helped = await withHelper(() => list(String(target.processId)));
    const direct = await list(String(target.processId));
    expect(helped.handles).toEqual(direct.handles);
  });
});
