import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { fixturePath } from '../tool.ts';

/** A program of fixtures/targets that says what it holds, then `ready`, and waits to be ended. */
export class Target implements Disposable {
  readonly processId: number;
  /** Its output before `ready`: lines of words. */
  readonly said: readonly (readonly string[])[];
  /** Resolves when it has ended. */
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess, said: readonly (readonly string[])[]) {
    this.#child = child;
    this.ended = once(child, 'exit');
    this.processId = child.pid!;
    this.said = said;
  }

  static async start(program: string, ...args: readonly string[]): Promise<Target> {
    const child = spawn(fixturePath(program), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const said: string[][] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      if (line.trim() === 'ready') return new Target(child, said);
      said.push(line.trim().split(' '));
    }
    throw new Error(`${program} ended early: ${JSON.stringify(said)}`);
  }

  /** The word after `what`. */
  value(what: string): string {
    const line = this.said.find(([key]) => key === what);
    if (line?.[1] === undefined) throw new Error(`The target says nothing of ${what}`);
    return line[1];
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
