import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

import type { Frame, Level, Rule } from '../../src/model.ts';

const tool = fileURLToPath(new URL('../../bin/unclosed.js', import.meta.url));

/** Directory of the built fixtures. */
export const fixtureFolder: string = fileURLToPath(new URL('../../fixtures/build', import.meta.url));

export function fixturePath(program: string): string {
  return `${fixtureFolder}\\${program}.exe`;
}

export interface ToolRun {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the tool as a user does, in a process of its own. */
export async function runTool(args: readonly string[], onOutput: (stderr: string) => void = () => {}): Promise<ToolRun> {
  const child = spawn(process.execPath, [tool, ...args], { stdio: ['ignore', 'pipe', 'pipe'], cwd: fixtureFolder });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
    onOutput(stderr);
  });
  const [stdout] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { exitCode: child.exitCode, stdout, stderr };
}

export interface JsonFinding {
  readonly rule: Rule;
  readonly level: Level;
  readonly message: string;
  readonly count: number;
  readonly object: { readonly type: string; readonly name?: string };
  readonly handles: readonly string[];
  readonly stacks: Readonly<Record<string, readonly Frame[] | undefined>>;
  readonly fingerprint: string;
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
