import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import type { ModuleWithoutNames } from '../../src/model.ts';
import { fixturePath, type JsonReport, runTool } from './tool.ts';

const directory = mkdtempSync(join(tmpdir(), 'unclosed-first-'));
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** The report of a program as text, and as data, of one run. */
async function report(
  program: string,
  ...options: readonly string[]
): Promise<{
  readonly lines: readonly string[];
  readonly data: JsonReport & { readonly modulesWithoutNames?: readonly ModuleWithoutNames[] };
  readonly exitCode: number | null;
}> {
  const file = join(directory, `${program}.txt`);
  const { stdout, exitCode } = await runTool([
    'run',
    ...options,
    '--json',
    '--reporter',
    `table=${file}`,
    '--',
    fixturePath(program),
  ]);
  return { lines: readFileSync(file, 'utf8').trimEnd().split('\n'), data: JSON.parse(stdout), exitCode };
}

describe('a first report', () => {
  it('of a program with hundreds of mistakes has at most 100 lines, and hides no level', async () => {
    const { lines, data, exitCode } = await report('leaks-at-many-sites');
    expect(lines.length).toBeLessThanOrEqual(100);
    expect(lines.find((line) => line.startsWith('ERROR double-close'))).toBeDefined();
    expect(lines).toContainEqual(
      expect.stringMatching(/^warning {2}leak +Event +\d+ {2}… \d+ more findings of this kind$/),
    );
    expect(lines).toContainEqual(expect.stringMatching(/^Shown in detail: \d+ of 321 findings, the worst first\./));
    expect(lines.at(-1)).toMatch(/^✗ 1 error, 320 warnings/);
    expect(data.findings).toHaveLength(321);
    expect(exitCode).toBe(1);
  });

  it('of the same program shows every finding with --all', async () => {
    const { lines, data } = await report('leaks-at-many-sites', '--all');
    expect(lines.filter((line) => /^(?:ERROR|WARNING) /.test(line))).toHaveLength(321);
    expect(data.findings).toHaveLength(321);
  });

  it('of its clean twin is three lines', async () => {
    const { lines, data } = await report('leaks-at-many-sites-clean');
    expect(lines).toHaveLength(3);
    expect(lines.at(-1)).toMatch(/^✓ No leaks and no misused handles in leaks-at-many-sites-clean\.exe/);
    expect(data).not.toHaveProperty('modulesWithoutNames');
  });

  it('says of a program without symbols why its functions have no names', async () => {
    const { lines, data } = await report('leaks-at-many-sites-stripped');
    expect(lines.length).toBeLessThanOrEqual(100);
    expect(lines.filter((line) => line.includes('built without debug information'))).toHaveLength(1);
    expect(data.modulesWithoutNames).toEqual([
      { module: 'leaks-at-many-sites-stripped.exe', why: 'no-debug-information' },
    ]);
    expect(data.findings).toHaveLength(321);
  });

  it('says nothing about names where all have one', async () => {
    const { lines } = await report('leaks-in-loop');
    expect(lines.join('\n')).not.toContain('no names');
  });
});

describe.runIf(existsSync(fixturePath('double-closes-event-pdb')))('a program with a PDB', () => {
  it('has its names from it', async () => {
    const { data } = await report('double-closes-event-pdb');
    expect(data.modulesWithoutNames?.map(({ why }) => why) ?? []).not.toContain('pdb-not-found');
  });
});
