import { describe, expect, it } from 'vitest';

import { canRun, type Check, examineAll } from '../../../src/cli/doctor-checks.ts';
import { runTool } from '../tool.ts';

interface DoctorDocument {
  readonly schemaVersion: number;
  readonly tool: { readonly name: string; readonly version: string };
  readonly canRun: boolean;
  readonly checks: readonly (Omit<Check, 'needed'> & { readonly needed: boolean })[];
}

const names = [
  'node',
  'system',
  'processor',
  'application control',
  'native calls',
  'recording',
  'attaching',
  'names',
  'privileges',
  'PDB',
  'symbol path',
  'DWARF',
  'demangling',
];

async function examine(...args: readonly string[]): Promise<DoctorDocument & { exitCode: number | null }> {
  const { exitCode, stdout, stderr } = await runTool(['doctor', '--json', ...args]);
  expect(stderr).toBe('');
  return { ...(JSON.parse(stdout) as DoctorDocument), exitCode };
}

/** Sets a variable that the tool inherits, and restores its value. */
async function withVariable<Result>(name: string, value: string, work: () => Promise<Result>): Promise<Result> {
  const before = process.env[name];
  process.env[name] = value;
  try {
    return await work();
  } finally {
    if (before === undefined) delete process.env[name];
    else process.env[name] = before;
  }
}

describe('unclosed doctor', () => {
  it('finds that everything works where the tests run, and says what it saw of a trial', async () => {
    const { checks, ...rest } = await examine();
    expect(rest).toMatchObject({ exitCode: 0, schemaVersion: 1, canRun: true });
    expect(checks.map(({ name }) => name)).toEqual(names);
    expect(checks.filter(({ needed }) => needed).map(({ name }) => name)).toEqual([
      'node',
      'processor',
      'native calls',
      'recording',
    ]);
    expect(checks.filter(({ status }) => status === 'missing')).toEqual([]);
    const detailOf = (name: string) => checks.find((check) => check.name === name)?.detail ?? '';
    expect(detailOf('node')).toContain(process.versions.node);
    expect(detailOf('native calls')).toMatch(/^koffi \d+\.\d+\.\d+ calls/);
    const [, hooked, opened] = /(\d+) system calls hooked, (\d+) handles opened/.exec(detailOf('recording')) ?? [];
    expect(Number(hooked)).toBeGreaterThan(50);
    expect(Number(opened)).toBeGreaterThan(0);
    expect(detailOf('DWARF')).toMatch(/DWARF 2 to 5.*llvm-symbolizer|DWARF 2 to 5.*addr2line/);
    expect(checks.find(({ name }) => name === 'demangling')?.status).toBe('ok');
  });

  it('has a line for each check, and the verdict at the end', async () => {
    const { exitCode, stdout, stderr } = await runTool(['doctor']);
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    for (const name of names) expect(stdout).toMatch(new RegExp(`^(ok|limited|missing) +${name}  `, 'm'));
    expect(stdout.trimEnd().split('\n').at(-1)).toMatch(/^unclosed run works here\./);
  });

  it('says why and what to try when a trial cannot be recorded, that run does not work, and looks at all the rest', async () => {
    const checks = await examineAll({
      host: undefined,
      environment: { ...process.env, SystemRoot: 'C:\\nowhere' },
      symbolPath: undefined,
    });
    expect(canRun(checks)).toBe(false);
    const recording = checks.find(({ name }) => name === 'recording');
    expect(recording).toMatchObject({
      status: 'missing',
      needed: true,
      detail: expect.stringMatching(/^Cannot run ".*cmd\.exe": there is no such file$/) as string,
    });
    expect(recording?.advice).toBeTruthy();
    expect(checks.map(({ name }) => name)).toEqual(names);
    expect(checks.filter(({ status }) => status === 'missing').map(({ name }) => name)).toEqual([
      'recording',
      'attaching',
    ]);
  });

  it.each([
    ['--symbols', (path: string) => examine('--symbols', path)],
    ['_NT_SYMBOL_PATH', (path: string) => withVariable('_NT_SYMBOL_PATH', path, () => examine())],
  ] as const)('says of %s which directory is not there, and still exits with 0', async (source, look) => {
    const { exitCode, checks } = await look('C:\\nowhere;C:\\windows');
    expect(exitCode).toBe(0);
    expect(checks.find(({ name }) => name === 'symbol path')).toMatchObject({
      status: 'limited',
      detail: `${source} names directories that do not exist: C:\\nowhere`,
    });
  });
});
