import { fork } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { extname, join } from 'node:path';

import { attach, audit } from '../audit/index.ts';
import type { Report } from '../model.ts';
import { findProcess } from '../process/processes.ts';
import type { Account, Mode } from './account.ts';
import { judgeClean, judgeExitCode, judgeFaults, judgeRun, type Row, type Run } from './judge.ts';
import { describeMachine, describeTarget, type Fact } from './facts.ts';
import { withoutPaths } from './without-paths.ts';

/** The result of a self-test: the table, and the facts that may explain it. */
export interface SelfTestResult {
  readonly rows: readonly Row[];
  readonly facts: readonly Fact[];
}

/** A part that takes longer has come to a halt. */
const PART_MS_MAX = 60_000;
const QUARANTINED_VALUES = 1024;

/**
 * Audits a script that commits every kind of fault, and its correct twin, and compares what was found with what was
 * committed.
 *
 * It never rejects: a part that fails is a row of the table.
 */
export async function runSelfTest(): Promise<SelfTestResult> {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-self-test-'));
  const facts: Fact[] = [];
  const run = async (part: Row['part'], work: () => Promise<readonly Row[]>): Promise<readonly Row[]> => {
    const started = performance.now();
    const rows = await work().catch((error: unknown): readonly Row[] => [
      { part, words: 'the audit itself', expected: 'a report', found: spell(error), isGood: false },
    ]);
    facts.push({ name: `time: ${part}`, value: `${((performance.now() - started) / 1000).toFixed(1)} s` });
    return rows;
  };
  try {
    // Options that a user has set for other programs of Node.js would change this one.
    delete process.env['NODE_OPTIONS'];
    let targetFacts: readonly Fact[] = [];
    const rows = [
      ...(await run('faults', async () => {
        const { account, report, child } = await auditScript(directory, 'faults');
        targetFacts = describeTarget({ account, report });
        return [
          ...judgeFaults('faults', { account, report }),
          ...judgeRun('faults', { account, report }),
          ...judgeFaults('child', { account: child, report }),
        ];
      })),
      ...(await run('clean', async () => {
        const clean = await auditScript(directory, 'clean');
        return [...judgeClean(clean), ...judgeRun('clean', clean)];
      })),
      ...(await run('quarantine', async () => {
        const quarantined = await auditScript(directory, 'quarantine');
        return [...judgeFaults('quarantine', quarantined), ...judgeRun('quarantine', quarantined)];
      })),
      ...(await run('attach', async () => await attachToScript(directory))),
    ];
    return { rows, facts: [...describeMachine(), ...targetFacts, ...facts] };
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

/** The script, which lies beside this module, or beside the bundle that has it. */
function scriptPath(): string {
  return join(import.meta.dirname, `faults-main${extname(import.meta.filename)}`);
}

async function auditScript(directory: string, mode: Mode): Promise<Run & { readonly child: Account }> {
  const file = join(directory, mode);
  const report = await audit({
    program: process.execPath,
    args: ['--no-warnings', scriptPath(), file, mode],
    followChildren: true,
    ...(mode === 'quarantine' ? { recording: { quarantine: QUARANTINED_VALUES } } : {}),
    signal: AbortSignal.timeout(PART_MS_MAX),
  });
  const account = readAccount(file);
  return { report, account, child: mode === 'quarantine' ? account : readAccount(`${file}.child`) };
}

async function attachToScript(directory: string): Promise<readonly Row[]> {
  const file = join(directory, 'attach');
  const child = fork(scriptPath(), [file, 'attach'], { execArgv: ['--no-warnings'], stdio: 'ignore' });
  try {
    const timeout = AbortSignal.timeout(PART_MS_MAX);
    // A script that the recorder has brought to a halt must not hold up the test for ever.
    const ended = once(child, 'exit', { signal: timeout });
    ended.catch(() => {}); // the attach may fail before
    await once(child, 'message', { signal: timeout });
    const committed = new AbortController();
    const report: Report = await attach({
      processes: [findProcess(String(child.pid))],
      onAttached: () => {
        child.once('message', () => committed.abort());
        child.send('commit');
      },
      signal: AbortSignal.any([committed.signal, timeout]),
    });
    child.disconnect();
    const [exitCode] = (await ended) as [number | null];
    const run = { report, account: readAccount(file) };
    return [...judgeFaults('attach', run), ...judgeRun('attach', run), judgeExitCode('attach', exitCode)];
  } finally {
    child.kill();
  }
}

function readAccount(file: string): Account {
  return JSON.parse(readFileSync(file, 'utf8')) as Account;
}

function spell(error: unknown): string {
  return withoutPaths(error instanceof Error ? error.message : String(error));
}
