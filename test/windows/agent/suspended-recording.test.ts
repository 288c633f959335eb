import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from 'vitest';

import { Recording } from '../../../src/agent/inject/recording.ts';
import { attach } from '../../../src/audit/index.ts';
import { GetThreadContext, OpenThread, ResumeThread, SuspendThread } from '../../../src/ffi/kernel32.ts';
import { addressOf, BOOL, HANDLE, loadLibrary, POINTER } from '../../../src/ffi/library.ts';
import { type AsHandle, HandleOrNull, type OwnedHandle } from '../../../src/io/index.ts';
import { readMemory } from '../../../src/process/memory.ts';
import { listThreadIds } from '../../../src/process/process-table.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { RunningProcess } from '../../../src/process/running-process.ts';
import { awaitStandingPoint } from '../../../src/process/suspend.ts';
import { Target } from '../target.ts';
import { toolPath } from '../tool.ts';

const SetThreadContext: (hThread: HANDLE, lpContext: Uint8Array) => boolean = loadLibrary('kernel32.dll').define(
  'SetThreadContext',
  BOOL,
  [HANDLE, POINTER],
);

const THREAD_SUSPEND_GET_AND_SET = 0x1a;
const CONTEXT_CONTROL = 0x10_0001;
const CONTEXT_SIZE_BYTES = 0x4d0;

/** Where the agent of an earlier audit has code for a recording. */
const IN_RECORDING_CODE = 0x1100n;

/** Attaches to a process, and kills the auditor: its hooks stay at work. */
async function leaveAgentIn(processId: number): Promise<void> {
  const auditor = spawn(process.execPath, [toolPath, 'attach', String(processId), '--for', '1h'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let heard = '';
  auditor.stderr.setEncoding('utf8').on('data', (text: string) => (heard += text));
  while (!heard.includes('recording for')) await once(auditor.stderr, 'data');
  auditor.kill('SIGKILL');
  await once(auditor, 'exit');
}

/** A suspended thread that is elsewhere for a while; disposing of it puts it back, and lets it run on. */
class DisplacedThread implements Disposable {
  readonly #thread: OwnedHandle;
  readonly #context: Uint8Array;

  constructor(threadId: number, instructionPointer: bigint) {
    const raw = OpenThread(THREAD_SUSPEND_GET_AND_SET, false, threadId);
    this.#thread = HandleOrNull.fromRawHandle(raw).expect('open thread', String(threadId));
    SuspendThread(raw);
    this.#context = readContext(raw);
    const displaced = readContext(raw);
    displaced.writeBigUInt64LE(instructionPointer, 0xf8); // DWORD64 Rip
    expect(SetThreadContext(raw, displaced)).toBe(true);
  }

  get point(): ReturnType<typeof awaitStandingPoint> {
    return awaitStandingPoint(this.#thread);
  }

  [Symbol.dispose](): void {
    expect(SetThreadContext(this.#thread.asRawHandle(), this.#context)).toBe(true);
    ResumeThread(this.#thread.asRawHandle());
    this.#thread[Symbol.dispose]();
  }
}

it('an audit keeps the memory of an earlier one for a thread that is suspended in the midst of a recording', async () => {
  using target = await Target.start('works-without-pause', '2', '0');
  await leaveAgentIn(target.processId);
  using running = RunningProcess.open(findProcess(String(target.processId)));
  using recording = await Recording.prepare();
  const { base, ledger } = recording.findLeftAgents(running).reusable!;
  const [threadId = 0] = listThreadIds(target.processId).slice(-1);
  {
    using thread = new DisplacedThread(threadId, base + IN_RECORDING_CODE);
    const left = recording.findLeftAgents(running);
    const threads = [{ threadId, ...thread.point! }];
    expect(left.isAnyRecording(running, threads)).toBe(true);
    await sleep(200);
    expect(left.isAnyRecording(running, threads)).toBe(true);

    const before = readHead(running, ledger);
    const report = await attach({ processes: [findProcess(String(target.processId))], forMs: 300 });
    expect(report.findings.filter(({ level }) => level !== 'note')).toEqual([]);
    expect(readHead(running, ledger).equals(before)).toBe(true);
  }
  expect((await target.stop()).exitCode).toBe(0);
});

/** CONTEXT begins at a multiple of 16. */
function readContext(thread: HANDLE): Buffer {
  const buffer = Buffer.alloc(CONTEXT_SIZE_BYTES + 16);
  const context = buffer.subarray(Number(-addressOf(buffer) & 15n));
  context.writeUInt32LE(CONTEXT_CONTROL, 0x30); // DWORD ContextFlags
  expect(GetThreadContext(thread, context)).toBe(true);
  return context;
}

function readHead(process: AsHandle, ledger: bigint): Buffer {
  return readMemory(process, ledger, 4096);
}
