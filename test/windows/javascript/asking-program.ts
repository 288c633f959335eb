import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { PROCESS_QUERY_INFORMATION, PROCESS_VM_READ, SYNCHRONIZE } from '../../../src/ffi/constants.ts';
import { GetModuleHandleW, GetProcAddress } from '../../../src/ffi/kernel32.ts';
import { BorrowedHandle, CURRENT_PROCESS, type OwnedHandle } from '../../../src/io/index.ts';
import { readExitCode } from '../../../src/process/exit-code.ts';
import { queryMemory, readMemory } from '../../../src/process/memory.ts';
import { listModules } from '../../../src/process/modules.ts';
import { openProcess } from '../../../src/process/processes.ts';
import { toolPath } from '../tool.ts';

const MEM_MAPPED = 0x4_0000;
const HEAD_SIZE_BYTES = 8;

const path = fileURLToPath(new URL('attached/asks.mjs', import.meta.url));

/** The program `attached/asks.mjs`, started by ourselves or by `run --js`. It ends when this is disposed of. */
export class AskingProgram implements Disposable {
  /** The line of it that asks for the files. */
  static readonly line: number =
    readFileSync(path, 'utf8')
      .split('\n')
      .findIndex((line) => line.includes('// asks')) + 1;
  static readonly path: string = path;
  readonly processId: number;
  readonly #process: OwnedHandle;
  readonly #started: ChildProcess;
  readonly #server: Server;
  readonly #bytes: Socket;

  private constructor(processId: number, started: ChildProcess, server: Server, bytes: Socket) {
    this.processId = processId;
    this.#started = started;
    this.#server = server;
    this.#bytes = bytes;
    this.#process = openProcess(processId, SYNCHRONIZE | PROCESS_QUERY_INFORMATION | PROCESS_VM_READ);
  }

  /** Starts it with V8's flags, so that its logs lie in a directory. */
  static async start(how: 'keep' | 'close', logs: string): Promise<AskingProgram> {
    const flags = ['--interpreted-frames-native-stack', '--log-code', '--log-source-position', '--no-sparkplug'];
    return await AskingProgram.#start([...flags, `--logfile=${join(logs, 'v8.log')}`], how);
  }

  /** Has `run --js` start it, which keeps its logs below a directory. */
  static async startByRun(how: 'keep' | 'close', temporary: string): Promise<AskingProgram> {
    const before = [toolPath, 'run', '--js', '--', process.execPath];
    return await AskingProgram.#start(before, how, { TEMP: temporary, TMP: temporary });
  }

  static async #start(before: readonly string[], how: string, more: NodeJS.ProcessEnv = {}): Promise<AskingProgram> {
    const pipe = `\\\\.\\pipe\\unclosed-asks-${randomUUID()}`;
    const server = createServer().listen(pipe);
    const connection = once(server, 'connection');
    const env = { ...process.env, ...more, UV_THREADPOOL_SIZE: '2' };
    const child = spawn(process.execPath, [...before, path, pipe, how], { stdio: ['ignore', 'pipe', 'inherit'], env });
    child.stdout.setEncoding('utf8');
    let output = '';
    for (;;) {
      const ready = /^ready (\d+)\r?$/m.exec(output);
      if (ready !== null)
        return new AskingProgram(Number(ready[1]), child, server, ((await connection) as [Socket])[0]);
      output += String((await once(child.stdout, 'data'))[0]);
    }
  }

  /** Lets its pool come to the requests. */
  letOpen(): void {
    this.#bytes.write('ab');
  }

  /** Ends it, and resolves with its exit code. */
  async end(): Promise<number> {
    this.#bytes.write('c');
    for (;;) {
      const exitCode = readExitCode(this.#process, this.processId);
      if (exitCode !== undefined) return exitCode;
      await sleep(20);
    }
  }

  /** Kills the auditor that has started it. */
  async killAuditor(): Promise<void> {
    const ended = once(this.#started, 'exit');
    this.#started.kill('SIGKILL');
    await ended;
  }

  /** Whether a function of libuv begins as in this process, which has the same program. */
  hasOwnCode(): boolean {
    const ours = GetModuleHandleW(null);
    const address = GetProcAddress(ours, 'uv_fs_open');
    const theirs = listModules(this.#process)[0]!.base + (address - ours);
    const own = readMemory(BorrowedHandle.borrowRaw(CURRENT_PROCESS), address, HEAD_SIZE_BYTES);
    return readMemory(this.#process, theirs, HEAD_SIZE_BYTES).equals(own);
  }

  /** The memory in it that is mapped from sections, as ledgers are. */
  mappedSizeBytes(): number {
    let sizeBytes = 0;
    for (let address = 0n; ; ) {
      const region = queryMemory(this.#process, address);
      if (region === undefined || region.end <= address) return sizeBytes;
      if (region.type === MEM_MAPPED) sizeBytes += Number(region.end - region.begin);
      address = region.end;
    }
  }

  [Symbol.dispose](): void {
    this.#started.kill();
    this.#bytes.destroy(); // the program ends at the end of its bytes
    this.#server.close();
    this.#process[Symbol.dispose]();
  }
}
