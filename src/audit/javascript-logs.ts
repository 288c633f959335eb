import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, win32 } from 'node:path';

import type { RunningProcess } from '../process/running-process.ts';
import { UserError } from '../user-error.ts';

/** `--js` for a program that is not known to take the flags. */
class NoNodeError extends UserError {
  constructor(program: string) {
    super(
      `Cannot add V8's flags to ${program}: that is known of node.exe only. Try to start it with the flags in docs/javascript.md, and --js-logs with the directory of its logs.`,
    );
  }
}

/**
 * A directory for the logs that V8 keeps of its code, and the arguments that make Node.js keep them. Disposing of it
 * removes the directory.
 */
export class JavaScriptLogs implements Disposable {
  readonly directory: string;
  readonly #isOurs: boolean;
  /** The flags that are added before the program's own arguments. */
  readonly flags: readonly string[];

  private constructor(directory: string, isOurs: boolean) {
    this.directory = directory;
    this.#isOurs = isOurs;
    this.flags = isOurs ? [...codeFlags, `--logfile=${join(directory, 'v8.log')}`] : [];
  }

  /**
   * Prepares the logs that an audit wants; `undefined` where it wants none.
   *
   * @param program whole path of the program
   * @throws UserError when flags are to be added, and the program is not Node.js
   */
  static prepare(
    program: string,
    { javaScript = false, javaScriptLogs }: { readonly javaScript?: boolean; readonly javaScriptLogs?: string },
  ): JavaScriptLogs | undefined {
    if (javaScriptLogs !== undefined) return new JavaScriptLogs(javaScriptLogs, false);
    if (!javaScript) return undefined;
    if (!isNode(program)) throw new NoNodeError(win32.basename(program));
    removeLeft();
    return new JavaScriptLogs(mkdtempSync(join(tmpdir(), `${DIRECTORY_PREFIX}${process.pid}-`)), true);
  }

  /** Adds the flags to a child that is Node.js and lacks them: one that `fork` started has those of its parent. */
  addTo(child: RunningProcess): void {
    if (this.#isOurs && isNode(child.image) && !child.command.some((argument) => argument.startsWith('--logfile=')))
      child.addArguments(this.flags);
  }

  [Symbol.dispose](): void {
    if (this.#isOurs) tryRemove(this.directory);
  }
}

function isNode(program: string): boolean {
  return /^node(?:\.exe)?$/i.test(win32.basename(program));
}

const DIRECTORY_PREFIX = 'unclosed-v8-';

/** Removes the directories of auditors that were killed. Their names have the ids of the auditors. */
function removeLeft(): void {
  for (const name of readdirSync(tmpdir())) {
    if (!name.startsWith(DIRECTORY_PREFIX)) continue;
    const pid = Number.parseInt(name.slice(DIRECTORY_PREFIX.length), 10);
    if (pid > 0 && !isRunning(pid)) tryRemove(join(tmpdir(), name));
  }
}

/** A child that outlives the audit may have its log open: then the next audit removes it. */
function tryRemove(directory: string): void {
  try {
    rmSync(directory, { recursive: true, force: true, maxRetries: 3 });
  } catch {
    // It stays until then.
  }
}

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/**
 * V8 writes where the code of each function lies, and which position of the source each part of it stands for.
 * Functions in the interpreter have an entry of their own each, which tells them apart on the stack. Sparkplug's code
 * has no positions in the log, so functions stay in the interpreter until a compiler with positions takes them.
 *
 * https://v8.dev/docs/log-code
 */
const codeFlags = [
  '--interpreted-frames-native-stack',
  '--log-code',
  '--log-source-position',
  '--no-sparkplug',
] as const;
