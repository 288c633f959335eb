import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

import type { SocketDescription } from '../../../src/model.ts';

/** One object that the holder has open, in its own words. */
export interface Held {
  readonly key: string;
  readonly value: number;
  readonly type: string;
  /** How the name ends: objects in a session's directory carry that directory's path before it. */
  readonly name?: string;
  readonly access?: number;
  readonly inheritable?: boolean;
  readonly protectFromClose?: boolean;
  readonly ended?: boolean;
  readonly exitCode?: number;
  readonly processId?: number;
  readonly threadId?: number;
  readonly socket?: SocketDescription;
}

/** A process that holds one object of every kind: see holder.mjs. */
export class Holder implements Disposable {
  readonly processId: number;
  readonly held: readonly Held[];
  readonly #child: ChildProcess;
  readonly #directory: string;

  private constructor(child: ChildProcess, directory: string, held: readonly Held[]) {
    this.#child = child;
    this.#directory = directory;
    this.processId = child.pid!;
    this.held = held;
  }

  static async start(): Promise<Holder> {
    const directory = mkdtempSync(join(tmpdir(), 'unclosed-holder-'));
    const script = fileURLToPath(new URL('./holder.mjs', import.meta.url));
    const child = spawn(process.execPath, [script, directory], { stdio: ['pipe', 'pipe', 'pipe'] });
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => (complaint += text.toString()));
    const held: Held[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      const facts = JSON.parse(line) as Held | { ready: true };
      if ('ready' in facts) return new Holder(child, directory, held);
      held.push(facts);
    }
    throw new Error(`The holder ended early: ${complaint}`);
  }

  [Symbol.dispose](): void {
    this.#child.once('exit', () => rmSync(this.#directory, { recursive: true, force: true }));
    this.#child.kill();
  }
}
