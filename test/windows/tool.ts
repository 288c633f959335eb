import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import type { FixtureExpectation } from '../../fixtures/expectations/expectation.ts';
import type { FindingStatus, Frame, HistoryEvent, IterationGrowth, Level, Rule, Sections } from '../../src/model.ts';

export const toolPath: string = fileURLToPath(new URL('../../bin/unclosed.cjs', import.meta.url));

/** Directory of the built fixtures. */
export const fixtureFolder: string = fileURLToPath(new URL('../../fixtures/build', import.meta.url));

export function fixturePath(program: string): string {
  return `${fixtureFolder}\\${program}.exe`;
}

/** A program in Rust is not built where the distribution has no Rust for Windows, as Debian 13 has not. */
export function isLeftOut({ program, language }: FixtureExpectation): boolean {
  return language === 'rs' && !existsSync(fixturePath(program));
}

export interface ToolRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs the tool as a user does, in a process of its own. Its output goes through files: Wine 8's server may crash where
 * Node.js destroys a pipe whose end it has read (docs/platform.md).
 *
 * @param nodeOptions for the Node.js that runs the tool
 * @param place its working directory, by default that of the fixtures, and what is added to its environment
 */
export async function runTool(
  args: readonly string[],
  onOutput?: (stderr: string, stdout: string) => void,
  nodeOptions: readonly string[] = [],
  place: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
): Promise<ToolRun> {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-tool-'));
  const [stdout, stderr] = [join(directory, 'stdout'), join(directory, 'stderr')];
  const files = [openSync(stdout, 'w'), openSync(stderr, 'w')] as const;
  try {
    const child = spawn(process.execPath, [...nodeOptions, toolPath, ...args], {
      stdio: ['ignore', ...files],
      cwd: place.cwd ?? fixtureFolder,
      env: { ...process.env, ...place.env },
    });
    const watch =
      onOutput && setInterval(() => onOutput(readFileSync(stderr, 'utf8'), readFileSync(stdout, 'utf8')), 50);
    await once(child, 'exit');
    clearInterval(watch);
    return { exitCode: child.exitCode, stdout: readFileSync(stdout, 'utf8'), stderr: readFileSync(stderr, 'utf8') };
  } finally {
    files.forEach(closeSync);
    rmSync(directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}

export interface JsonFinding {
  readonly rule: Rule;
  readonly level: Level;
  readonly message: string;
  readonly count: number;
  readonly object: { readonly type: string; readonly name?: string };
  readonly handles: readonly string[];
  readonly stacks: Readonly<Record<string, readonly Frame[] | undefined>>;
  readonly history?: { readonly handle: string; readonly events: readonly HistoryEvent[] };
  readonly fingerprint: string;
  readonly status: FindingStatus;
  readonly growth?: IterationGrowth;
  readonly sections?: Sections;
  readonly runs?: readonly number[];
  readonly dump?: string;
}

export interface JsonReport {
  readonly schemaVersion: number;
  readonly target: { readonly command: readonly string[]; readonly pid: number; readonly exitCode?: number };
  readonly findings: readonly JsonFinding[];
  readonly completeness: { readonly complete: boolean; readonly notes: readonly string[] };
  readonly stats: Readonly<Record<string, number>>;
}

/** The innermost function of the program itself on a stack. */
export function programFrame(stack: readonly Frame[] | undefined): Frame | undefined {
  return stack?.find((frame) => frame.system !== true && frame.runtime !== true);
}
