import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { attach, type AttachOptions } from '../../../src/audit/index.ts';
import type { Report } from '../../../src/model.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { toolPath } from '../tool.ts';
import { AskingProgram } from './asking-program.ts';

const { path, line } = AskingProgram;
let logs: string;
beforeAll(() => void (logs = mkdtempSync(join(tmpdir(), 'unclosed-attached-'))));
afterAll(() => rmSync(logs, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 }));

async function attachTo(program: AskingProgram, options: Partial<AttachOptions> = {}): Promise<Report> {
  const processes = [findProcess(String(program.processId))];
  return await attach({ processes, forMs: 1600, everyMs: 160, javaScriptLogs: logs, ...options });
}

/** The errors and warnings, each with the line of the program that asked for what was opened. */
function serious({ findings }: Report): readonly string[] {
  return findings
    .filter(({ level }) => level !== 'note')
    .map(({ level, rule, object, stacks: { opened = [] } }) => {
      const asking = opened.find(({ requested, file }) => requested === true && file === path);
      return `${level} ${rule} ${object.type} ${asking?.line}`;
    });
}

const growth = [`error leak File ${line}`];

/** How many open handles have no asker. */
function countUnknown({ completeness: { gaps } }: Report): number {
  return gaps.reduce((sum, gap) => (gap.kind === 'requests-unknown' ? sum + gap.count : sum), 0);
}

describe('an attach with the logs of V8', () => {
  it('names the line that asked a thread of libuv’s pool, and counts what was asked for before', async () => {
    using program = await AskingProgram.start('keep', logs);
    const first = await attachTo(program, { forMs: 300 });
    expect(first.findings).toEqual([]);
    expect(program.hasOwnCode()).toBe(true); // while all requests wait
    const report = await attachTo(program, { onAttached: () => program.letOpen() });
    expect(serious(report)).toEqual(growth);
    expect(countUnknown(report)).toBeGreaterThan(0);
    expect(program.hasOwnCode()).toBe(true);
    expect(await program.end()).toBe(7);
  });

  it('accuses nothing in a program that closes what it asks for', async () => {
    using program = await AskingProgram.start('close', logs);
    expect(serious(await attachTo(program, { onAttached: () => program.letOpen() }))).toEqual([]);
    expect(await program.end()).toBe(7);
  });

  it('finds the same after an auditor was killed, and takes no new memory', async () => {
    using program = await AskingProgram.start('keep', logs);
    program.letOpen();
    expect(serious(await attachTo(program))).toEqual(growth);
    const sizeBytes = program.mappedSizeBytes();
    const auditor = spawn(process.execPath, [toolPath, 'attach', '--js-logs', logs, String(program.processId)], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    await once(auditor.stderr, 'data'); // it is attached
    auditor.kill('SIGKILL');
    await once(auditor, 'exit');
    expect(program.hasOwnCode()).toBe(false);
    const report = await attachTo(program);
    expect(serious(report)).toEqual(growth);
    expect(report.completeness.gaps.map(({ kind }) => kind)).not.toContain('requests-missed');
    expect([program.hasOwnCode(), program.mappedSizeBytes()]).toEqual([true, sizeBytes]);
    expect(await program.end()).toBe(7);
  });

  it('finds the same in a program whose run was killed, after an attach that wants no requests', async () => {
    // Each `run --js` removes what auditors that were killed have left in the usual directory.
    const temporary = mkdtempSync(join(tmpdir(), 'unclosed-killed-run-'));
    using program = await AskingProgram.startByRun('keep', temporary);
    const [directory = ''] = readdirSync(temporary).filter((name) => name.startsWith('unclosed-v8-'));
    await program.killAuditor();
    expect(program.hasOwnCode()).toBe(false);
    const { processId } = program;
    await attach({ processes: [findProcess(String(processId))], forMs: 100, onAttached: () => program.letOpen() });
    expect(program.hasOwnCode()).toBe(true);
    const sizeBytes = program.mappedSizeBytes();
    const report = await attachTo(program, { javaScriptLogs: join(temporary, directory) });
    expect(serious(report)).toEqual(growth);
    expect([program.hasOwnCode(), program.mappedSizeBytes()]).toEqual([true, sizeBytes]);
    expect(await program.end()).toBe(7);
    rmSync(temporary, { recursive: true, maxRetries: 10, retryDelay: 100 });
  });
});
