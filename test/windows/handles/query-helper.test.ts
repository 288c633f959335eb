import { join } from 'node:path';

import { expect, it } from 'vitest';

import { OpenProcess } from '../../../src/ffi/kernel32.ts';
import { BOOL, DWORD, HANDLE, loadLibrary, NTSTATUS, POINTER, type Pointer } from '../../../src/ffi/library.ts';
import { QueryHelper } from '../../../src/handles/query-helper.ts';
import { createPipe, HandleOrNull, type PipeEnds } from '../../../src/io/index.ts';

const READING_HELPER = join(import.meta.dirname, 'reading-helper-main.ts');
const PROCESS_SUSPEND_RESUME = 0x800;
const NtSuspendProcess: (process: HANDLE) => number = loadLibrary('ntdll.dll').define(
  'NtSuspendProcess',
  NTSTATUS,
  [HANDLE],
);
const WriteFile: (file: HANDLE, bytes: Pointer, size: number, written: Pointer, overlapped: Pointer) => boolean =
  loadLibrary('kernel32.dll').define('WriteFile', BOOL, [HANDLE, POINTER, DWORD, POINTER, POINTER]);

/** Runs `body` with pipes of which those in `full` hold a byte, and closes them after it. */
async function withPipes(
  count: number,
  full: (index: number) => boolean,
  body: (pipes: readonly PipeEnds[]) => Promise<void>,
): Promise<void> {
  const pipes: PipeEnds[] = [];
  try {
    for (let index = 0; index < count; index++) {
      const pipe = createPipe();
      pipes.push(pipe);
      if (full(index)) WriteFile(pipe.writer.asRawHandle(), new Uint8Array([index]), 1, new Uint32Array(1), null);
    }
    await body(pipes);
  } finally {
    for (const { reader, writer } of pipes) {
      reader.close();
      writer.close();
    }
  }
}

function ask(helper: QueryHelper, pipes: readonly PipeEnds[]): ReturnType<QueryHelper['ask']> {
  return helper.ask(pipes.map(({ reader }) => ({ processId: process.pid, value: reader.asRawHandle() })));
}

it('marks the files whose queries block for ever and answers all others, in 3 seconds', async () => {
  await withPipes(120, (index) => index >= 50, async (pipes) => {
    using helper = new QueryHelper({ script: READING_HELPER, timeoutMs: 400 });
    const start = performance.now();
    const answers = await ask(helper, pipes);
    expect(performance.now() - start).toBeLessThan(3_000);
    answers.forEach((answer, index) => {
      expect(answer, `pipe ${index}`).toMatchObject(index < 50 ? { timedOut: true } : { name: `byte ${index}` });
    });
  });
});

it('goes on with a new helper where more queries block than a helper has threads', async () => {
  await withPipes(20, (index) => index % 4 === 3, async (pipes) => {
    using helper = new QueryHelper({ script: READING_HELPER, timeoutMs: 300, threads: 4 });
    const answers = await ask(helper, pipes);
    answers.forEach((answer, index) => {
      expect(answer, `pipe ${index}`).toMatchObject(index % 4 === 3 ? { name: `byte ${index}` } : { timedOut: true });
    });
  });
}, 20_000);

it('ends a helper that hangs altogether and asks a new one', async () => {
  await withPipes(2, () => true, async (pipes) => {
    using helper = new QueryHelper({ script: READING_HELPER, timeoutMs: 1500, silenceMs: 3000 });
    expect(await ask(helper, pipes.slice(0, 1))).toMatchObject([{ name: 'byte 0' }]);
    const hung = helper.processId!;
    using suspended = HandleOrNull.fromRawHandle(OpenProcess(PROCESS_SUSPEND_RESUME, false, hung)).expect('open process', '');
    expect(NtSuspendProcess(suspended.asRawHandle())).toBe(0);
    expect(await ask(helper, pipes.slice(1))).toMatchObject([{ name: 'byte 1' }]);
    expect(helper.processId).not.toBe(hung);
  });
}, 20_000);

it('asks a new helper where the old one was killed', async () => {
  await withPipes(2, () => true, async (pipes) => {
    using helper = new QueryHelper({ script: READING_HELPER });
    await ask(helper, pipes.slice(0, 1));
    process.kill(helper.processId!, 'SIGKILL');
    expect(await ask(helper, pipes.slice(1))).toMatchObject([{ name: 'byte 1' }]);
  });
}, 20_000);

it('settles even where no helper ever runs', async () => {
  using helper = new QueryHelper({ script: join(import.meta.dirname, 'no-such-script.mjs') });
  expect(await helper.ask([{ processId: process.pid, value: 4n }])).toMatchObject([{ timedOut: true }]);
}, 20_000);

it('reports the call that failed', async () => {
  using helper = new QueryHelper();
  const answers = await helper.ask([
    { processId: process.pid, value: 0xff_fff0n },
    { processId: 0x7fff_fff0, value: 4n },
  ]);
  expect(answers).toMatchObject([{ problem: 'DuplicateHandle 6' }, { problem: 'OpenProcess 87' }]);
}, 20_000);

it('refuses questions once it is disposed of', async () => {
  const helper = new QueryHelper();
  helper[Symbol.dispose]();
  await expect(helper.ask([])).rejects.toThrow('disposed of');
});

it('answers ten thousand files in their order', async () => {
  await withPipes(100, () => true, async (pipes) => {
    using helper = new QueryHelper();
    const many = Array.from({ length: 10_000 }, (_, index) => pipes[index % 100]!);
    const start = performance.now();
    const answers = await ask(helper, many);
    expect(performance.now() - start).toBeLessThan(20_000);
    const names = answers.map((answer) => answer.name);
    expect(new Set(names).size).toBe(100);
    names.forEach((name, index) => expect(name).toBe(names[index % 100]));
  });
}, 40_000);
