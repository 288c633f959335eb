import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import type { BaselineUse, SuppressionUse } from '../../../src/model.ts';
import { fixturePath, type JsonReport, runTool, type ToolRun } from '../tool.ts';

export interface GateReport extends JsonReport {
  readonly baseline?: BaselineUse;
  readonly suppressions: readonly SuppressionUse[];
}

/** A directory of a user, with programs and files, in which the tool is run. */
export class Place implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'unclosed-gate-'));

  /** Puts a fixture there under another name. */
  addProgram(fixture: string, name: string): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    copyFileSync(fixturePath(fixture), path);
    return path;
  }

  write(name: string, content: string | object): string {
    const path = join(this.path, name);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
    return path;
  }

  read(name: string): string {
    return readFileSync(join(this.path, name), 'utf8');
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  async run(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    folder: string = '',
  ): Promise<ToolRun> {
    return await runTool(args, undefined, [], { cwd: join(this.path, folder), env });
  }

  /** The report of `run`, as data, with the accepted findings in it. */
  async report(
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    folder: string = '',
  ): Promise<GateReport & { readonly toolExitCode: number | null }> {
    const { stdout, stderr, exitCode } = await this.run(['run', '--json', '--suppressed', ...args], env, folder);
    if (stdout === '') throw new Error(`There is no report: ${stderr}`);
    return { ...(JSON.parse(stdout) as GateReport), toolExitCode: exitCode };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }
}
