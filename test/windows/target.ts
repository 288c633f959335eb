import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

import { PROCESS_QUERY_INFORMATION, PROCESS_VM_OPERATION } from '../../src/ffi/constants.ts';
import { VirtualAllocEx, VirtualQueryEx } from '../../src/ffi/kernel32.ts';
import { openProcess } from '../../src/process/processes.ts';
import { setEvent } from './set-event.ts';
import { fixturePath } from './tool.ts';

const MEM_COMMIT = 0x1000;
const MEM_RESERVE = 0x2000;
const PAGE_NOACCESS = 0x01;

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
    const child = spawn(fixturePath(program), args, { stdio: ['pipe', 'pipe', 'inherit'] });
    child.stdout.setEncoding('utf8');
    let output = '';
    while (!/^ready \d+\r?$/m.test(output)) {
      const [text] = (await Promise.race([once(child.stdout, 'data'), once(child, 'exit')])) as [string | number];
      if (typeof text !== 'string') throw new Error(`${program} ended early, with exit code ${text}: ${output}`);
      output += text;
    }
    return new Target(child, output);
  }

  /** Gives it a line to read. */
  tell(line: string): void {
    this.#child.stdin!.write(`${line}\n`);
  }

  /** Resolves with all that it has said when it has said a word in a line of its own. */
  async hear(word: string): Promise<string> {
    while (!new RegExp(`^${word}\\r?$`, 'm').test(this.#output)) await once(this.#child.stdout!, 'data');
    return this.#output;
  }

  /** Ends a program that works until the event `unclosed-stop-<process id>` is set. */
  async stop(): Promise<{ readonly exitCode: number | null; readonly output: string }> {
    const ended = once(this.#child, 'close');
    setEvent(`unclosed-stop-${this.processId}`);
    await ended;
    return { exitCode: this.#child.exitCode, output: this.#output };
  }

  /** Resolves with its exit code. */
  async end(): Promise<number | null> {
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    return this.#child.exitCode;
  }

  /** The memory that is committed in it, as the kernel counts it. */
  committedSizeBytes(): number {
    using process = openProcess(this.processId, PROCESS_QUERY_INFORMATION);
    let sizeBytes = 0;
    for (let address = 0n; ; ) {
      const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
      if (VirtualQueryEx(process.asRawHandle(), address, region, 48n) === 0n) return sizeBytes;
      const regionSizeBytes = region.readBigUInt64LE(24);
      if (region.readUInt32LE(32) === MEM_COMMIT) sizeBytes += Number(regionSizeBytes);
      address = region.readBigUInt64LE(0) + regionSizeBytes;
    }
  }

  /** Reserves memory in it, as a DLL or an allocation of its own would that happens to lie there. */
  reserve(address: bigint, sizeBytes: bigint): void {
    using process = openProcess(this.processId, PROCESS_VM_OPERATION);
    const base = VirtualAllocEx(process.asRawHandle(), address, sizeBytes, MEM_RESERVE, PAGE_NOACCESS);
    if (base !== address) throw new Error(`There is other memory at ${address.toString(16)}.`);
  }

  kill(): void {
    this.#child.kill();
  }

  [Symbol.dispose](): void {
    this.#child.kill();
  }
}
