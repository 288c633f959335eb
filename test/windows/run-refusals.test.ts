import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, describe, expect, it } from 'vitest';

import { HandleOrInvalid, NULL_HANDLE } from '../../src/io/index.ts';
import { CreateFileW } from './io/win32.ts';
import { fixturePath, type JsonReport, runTool } from './tool.ts';

const GENERIC_READ = 0x8000_0000;
const CREATE_ALWAYS = 2;

const directory = mkdtempSync(join(tmpdir(), 'unclosed-refusals-'));
afterAll(() => rmSync(directory, { recursive: true }));

describe('unclosed run, in Windows itself,', () => {
  it('says in one line that another process denies access to the program', async () => {
    const path = join(directory, 'locked.exe');
    // No other process may open it while we have it: share mode 0.
    using _lock = HandleOrInvalid.fromRawHandle(
      CreateFileW(path, GENERIC_READ, 0, null, CREATE_ALWAYS, 0, NULL_HANDLE),
    ).expect('create', path);
    const { exitCode, stdout, stderr } = await runTool(['run', '--', path]);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/^unclosed: Cannot run ".*\\locked\.exe": it cannot be read \(EBUSY\)\. Try [^\n]*\n$/);
    expect(exitCode).toBe(2);
  });

  it('refuses a directory for a report file before the program runs', async () => {
    const { exitCode, stdout, stderr } = await runTool([
      'run',
      '--reporter',
      `json=${directory}`,
      '--',
      fixturePath('leaks-event'),
    ]);
    expect(stderr).toMatch(
      /^unclosed: Cannot write report ".*": it is a directory \(EISDIR\)\. Try the name of a file in it\.\n$/,
    );
    expect(stdout, 'the program did not run').toBe('');
    expect(exitCode).toBe(2);
    expect(readdirSync(directory).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  it('keeps notes out of the findings, and counts them', async () => {
    const { exitCode, stdout } = await runTool(['run', '--json', '--', fixturePath('leaks-event-clean')]);
    const report = JSON.parse(stdout) as JsonReport;
    expect(report.findings).toEqual([]);
    expect(report.stats['notes']).toBeGreaterThan(0);
    expect(exitCode).toBe(0);
  });
});
