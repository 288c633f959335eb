import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { win32 } from 'node:path';

import type { Finding, Frame, Stack } from '../../model.ts';
import { Guardian } from '../../process/guardian/guardian.ts';
import { writeMinidump } from './minidump.ts';
import type { Target } from '../../process/target.ts';
import { UserError } from '../../user-error.ts';
import type { StoppedThread } from './stop-options.ts';
import { readCallersContext } from './stopped-context.ts';

/** So many minidumps are written in a run. */
const DUMPS_MAX = 5;
/** A name that is taken gets a number; so many are tried. */
const NAMES_MAX = 1000;

/** A minidump that is being written; the number is the auditor's process id. */
const unfinishedName = /\.dmp\.\d+\.unfinished$/;
/** A minidump takes seconds: one that was not written to for so long is of an auditor that was killed. */
const UNFINISHED_FOR_MS = 3_600_000;

/** The thread, or its stack, is gone. */
class MomentGoneError extends UserError {
  constructor({ pid, threadId }: StoppedThread) {
    super(`Cannot write a minidump of process ${pid}: its thread ${threadId} has ended. Try again.`);
  }
}

/** All names are taken. */
class NameError extends UserError {
  constructor(directory: string) {
    super(`Cannot write a minidump to "${directory}": it has ${NAMES_MAX} of this process. Try another directory.`);
  }
}

/** The minidumps of one audit. */
export class Dumps implements AsyncDisposable {
  readonly #directory: string;
  /** Paths by the fingerprints of their findings. */
  readonly #written = new Map<string, string>();
  #left = DUMPS_MAX;
  #guardian: Promise<Guardian> | undefined;

  constructor(directory: string) {
    this.#directory = win32.resolve(directory);
  }

  /**
   * Writes a minidump of the moment at which a thread waits. All threads of the process stand still meanwhile. The file
   * has its name only when it is whole.
   *
   * @param places as in StopRequest
   * @returns its path; `undefined` when there are as many as may be
   * @throws MomentGoneError, NameError, GuardianError, Win32Error or Error when there is none
   */
  async write(target: Target, stopped: StoppedThread, places: bigint): Promise<string | undefined> {
    if (this.#left === 0) return undefined;
    this.#left--;
    const { notes } = await (this.#guardian ??= Guardian.start());
    const { threadId, finding } = stopped;
    // Should the auditor end while it has threads suspended, the guardian lets them run on.
    notes.processId = target.pid;
    notes.state = 'stopped';
    try {
      const context = readCallersContext(target, threadId, places);
      if (context === undefined) throw new MomentGoneError(stopped);
      mkdirSync(this.#directory, { recursive: true });
      removeUnfinished(this.#directory);
      const path = this.#findName(stopped);
      const unfinished = `${path}.${process.pid}.unfinished`;
      writeMinidump(target, unfinished, { threadId, context, comment: describe(stopped) });
      renameSync(unfinished, path);
      this.#written.set(finding.fingerprint, path);
      return path;
    } finally {
      notes.state = 'running';
    }
  }

  /** Findings with the paths of their minidumps. */
  name(findings: readonly Finding[]): readonly Finding[] {
    return findings.map((finding) => {
      const dump = this.#written.get(finding.fingerprint);
      return dump === undefined ? finding : { ...finding, dump };
    });
  }

  /** No other auditor has the process, and no other takes the name meanwhile. */
  #findName({ image, pid, finding }: StoppedThread): string {
    const program = win32.basename(image, '.exe');
    for (let number = 1; number <= NAMES_MAX; number++) {
      const path = win32.join(this.#directory, `${program}-${pid}-${finding.rule}-${number}.dmp`);
      if (!existsSync(path)) return path;
    }
    throw new NameError(this.#directory);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const [guardian] = await Promise.allSettled([this.#guardian]);
    if (guardian.status === 'fulfilled') guardian.value?.[Symbol.dispose]();
  }
}

/** Removes the minidumps that auditors left unfinished because they were killed. */
function removeUnfinished(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (!unfinishedName.test(name)) continue;
    const path = win32.join(directory, name);
    try {
      if (Date.now() - statSync(path).mtimeMs > UNFINISHED_FOR_MS) rmSync(path);
    } catch {
      // It is gone, or not ours to remove.
    }
  }
}

/** The text in a minidump. */
function describe({ pid, threadId, image, finding }: StoppedThread): string {
  const { rule, message, fingerprint, stacks } = finding;
  const named = Object.entries<Stack>(stacks).map(([name, stack]) => `${name}:\n${stack.map(spellFrame).join('')}`);
  return `unclosed: ${rule} ${fingerprint}\n${message}\n${image} (${pid}), thread ${threadId}\n\n${named.join('\n')}`;
}

function spellFrame({ module, function: name, offset, file, line }: Frame): string {
  const place = file === undefined ? '' : ` (${file}${line === undefined ? '' : `:${line}`})`;
  return `  ${name === undefined ? module : `${module}!${name}`}+0x${offset.toString(16)}${place}\n`;
}
