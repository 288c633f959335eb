import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

import { fixturePath } from './tool.ts';

/** A program of fixtures/targets that has said that it is ready; it ends when this is disposed of. */
export class Target implements Disposable {
  readonly processId: number;
  readonly #child: ChildProcess;
  #output = '';

  private constructor(child: ChildProcess, output: string) {
    this.#child = child;
    this.#output = output;
    this.processId = Number(/^ready (\d+)\r?$/m.exec(output)![1]);
    child.stdout!.on('data', (text: string) => (this.#output += text));
  }

  static async start(program: string, ...args: readonly string[]): Promise<Target> {
    const child = spawn(fixturePath(program), args, { stdio: ['ignore', 'pipe', 'inherit'] });
    child.stdout.setEncoding('utf8');
    let output = '';
    while (!/^ready \d+\r?$/m.test(output)) {
      const [text] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [string | number];
      if (typeof text !== 'string') throw new Error(`${program} ended early, with exit code ${text}: ${output}`);
      output += text;
    }
    return new Target(child, output);
  }

  /** Resolves with all that it has said when it has said a word in a line of its own. */
  async hear(word: string): Promise<string> {
    while (!new RegExp(`^${word}\\r?$`, 'm').test(this.#output)) await once(this.#child.stdout!, 'data');
    return this.#output;
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
