import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll } from 'vitest';

import type { AuditOptions } from '../../src/audit/index.ts';
import { fixtureFolder, type JsonReport } from './tool.ts';

/** One audit by the library. */
export interface Audited {
  readonly report: JsonReport;
  /** The program's output on stdout and stderr. */
  readonly output: string;
}

export type Audit = (options: Omit<AuditOptions, 'signal'>, onOutput?: (output: string) => void) => Promise<Audited>;

/**
 * Gives a test file the library's `audit()`, in one process that lives as long as the file's tests: to start the tool
 * takes more processor time than to audit a small program. For tests of findings. For tests of the command's output
 * there is `runTool`.
 */
export function useAuditor(): Audit {
  let auditor: Auditor | undefined;
  afterAll(() => auditor?.end());
  return async (options, onOutput) => {
    auditor ??= await Auditor.start();
    return await auditor.audit(options, onOutput);
  };
}

type Answer = { readonly report: JsonReport } | { readonly error: string };

class Auditor {
  readonly #directory: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<readonly unknown[]>;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(directory: string, child: ChildProcess) {
    this.#directory = directory;
    this.#child = child;
    this.#ended = once(child, 'exit');
  }

  static async start(): Promise<Auditor> {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-auditor-'));
    // A file, which both programs and we can use at once: runTool says why no pipe.
    const output = openSync(join(directory, 'output'), 'a');
    const main = fileURLToPath(new URL('warm-auditor-main.mjs', import.meta.url));
    const child = spawn(process.execPath, [main], { stdio: ['ignore', output, output, 'ipc'], cwd: fixtureFolder });
    closeSync(output);
    const auditor = new Auditor(directory, child);
    await auditor.#answer();
    return auditor;
  }

  /** One after the other: the programs share the output. */
  audit(options: Omit<AuditOptions, 'signal'>, onOutput?: (output: string) => void): Promise<Audited> {
    const audited = this.#last.then(() => this.#auditNext(options, onOutput));
    this.#last = audited.catch(() => undefined); // its own caller hears of it
    return audited;
  }

  async #auditNext(options: Omit<AuditOptions, 'signal'>, onOutput?: (output: string) => void): Promise<Audited> {
    const start = this.#read().length;
    const output = (): string => this.#read().subarray(start).toString('utf8');
    const watch = onOutput && setInterval(() => onOutput(output()), 50);
    try {
      const answer = this.#answer();
      this.#child.send({ targetStdout: 'stderr', ...options });
      const result = await answer;
      if ('error' in result) throw new Error(`The audit of ${options.program} failed: ${result.error}`);
      return { report: result.report, output: output() };
    } finally {
      clearInterval(watch);
    }
  }

  async end(): Promise<void> {
    this.#child.disconnect();
    await this.#ended;
    rmSync(this.#directory, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 });
  }

  #read(): Buffer {
    return readFileSync(join(this.#directory, 'output'));
  }

  async #answer(): Promise<Answer> {
    const ended = new AbortController();
    try {
      return await Promise.race([
        once(this.#child, 'message', { signal: ended.signal }).then(([answer]) => answer as Answer),
        this.#ended.then(([code]): never => {
          throw new Error(`The auditor ended with exit code ${code}: ${this.#read().toString('utf8')}`);
        }),
      ]);
    } finally {
      ended.abort();
    }
  }
}
