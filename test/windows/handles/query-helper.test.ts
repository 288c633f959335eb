import { join } from 'node:path';
import { setImmediate as turn, setTimeout as sleep } from 'node:timers/promises';
import { Worker } from 'node:worker_threads';

import { expect, it } from 'vitest';

import { BOOL, DWORD, HANDLE, loadLibrary, POINTER, type Pointer } from '../../../src/ffi/library.ts';
import { QueryHelper } from '../../../src/handles/query/query-helper.ts';
import { createPipe, type PipeEnds } from '../../../src/io/index.ts';
import { standStill, starve, suspend } from './starvation.ts';

type Peek = (pipe: HANDLE, buffer: Pointer, size: number, read: Pointer, available: Pointer, left: Pointer) => boolean;
const PeekNamedPipe: Peek = loadLibrary('kernel32.dll').define('PeekNamedPipe', BOOL, [
  HANDLE,
  POINTER,
  DWORD,
  POINTER,
  POINTER,
  POINTER,
]);
type Write = (pipe: HANDLE, bytes: Uint8Array, size: number, written: Uint32Array, overlapped: Pointer) => boolean;
const WriteFile: Write = loadLibrary('kernel32.dll').define('WriteFile', BOOL, [
  HANDLE,
  POINTER,
  DWORD,
  POINTER,
  POINTER,
]);
const READING_HELPER = join(import.meta.dirname, 'reading-helper-main.ts');

function fill({ writer }: PipeEnds, byte: number): void {
  if (!WriteFile(writer.asRawHandle(), new Uint8Array([byte]), 1, new Uint32Array(1), null))
    throw new Error('Cannot write to a pipe');
}

function readableBytes({ reader }: PipeEnds): number {
  const available = new Uint32Array(1);
  if (!PeekNamedPipe(reader.asRawHandle(), null, 0, null, available, null)) throw new Error('Cannot look into a pipe');
  return available[0]!;
}

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
      if (full(index)) fill(pipe, index);
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

it('marks the files whose queries block for ever and answers all others', async () => {
  await withPipes(
    120,
    (index) => index >= 50,
    async (pipes) => {
      using helper = new QueryHelper({ script: READING_HELPER, timeoutMs: 400 });
      const answers = await ask(helper, pipes);
      answers.forEach((answer, index) => {
        expect(answer, `pipe ${index}`).toMatchObject(index < 50 ? { timedOut: true } : { name: `byte ${index}` });
      });
    },
  );
});

it('goes on with a new helper where more queries block than a helper has threads', async () => {
  await withPipes(
    20,
    (index) => index % 4 === 3,
    async (pipes) => {
      using helper = new QueryHelper({ script: READING_HELPER, timeoutMs: 300, threads: 4 });
      const answers = await ask(helper, pipes);
      answers.forEach((answer, index) => {
        expect(answer, `pipe ${index}`).toMatchObject(index % 4 === 3 ? { name: `byte ${index}` } : { timedOut: true });
      });
    },
  );
});

it('ends a helper that hangs altogether and asks a new one', async () => {
  await withPipes(
    2,
    () => true,
    async (pipes) => {
      using helper = new QueryHelper({ script: READING_HELPER });
      expect(await ask(helper, pipes.slice(0, 1))).toMatchObject([{ name: 'byte 0' }]);
      const hung = helper.processId!;
      suspend(hung);
      expect(await ask(helper, pipes.slice(1))).toMatchObject([{ name: 'byte 1' }]);
      expect(helper.processId).not.toBe(hung);
    },
  );
});

it('asks a new helper where the old one was killed', async () => {
  await withPipes(
    2,
    () => true,
    async (pipes) => {
      using helper = new QueryHelper({ script: READING_HELPER });
      await ask(helper, pipes.slice(0, 1));
      process.kill(helper.processId!, 'SIGKILL');
      expect(await ask(helper, pipes.slice(1))).toMatchObject([{ name: 'byte 1' }]);
    },
  );
});

it('settles even where no helper ever runs', async () => {
  using helper = new QueryHelper({ script: join(import.meta.dirname, 'no-such-script.mjs') });
  expect(await helper.ask([{ processId: process.pid, value: 4n }])).toMatchObject([{ timedOut: true }]);
});

it('reports the call that failed', async () => {
  using helper = new QueryHelper();
  const answers = await helper.ask([
    { processId: process.pid, value: 0xff_fff0n },
    { processId: 0x7fff_fff0, value: 4n },
  ]);
  expect(answers).toMatchObject([{ problem: 'DuplicateHandle 6' }, { problem: 'OpenProcess 87' }]);
});

it('refuses questions once it is disposed of', async () => {
  const helper = new QueryHelper();
  helper[Symbol.dispose]();
  await expect(helper.ask([])).rejects.toThrow('disposed of');
});

it('answers ten thousand files in their order', async () => {
  await withPipes(
    100,
    () => true,
    async (pipes) => {
      using helper = new QueryHelper();
      const many = Array.from({ length: 10_000 }, (_, index) => pipes[index % 100]!);
      const answers = await ask(helper, many);
      const names = answers.map((answer) => answer.name);
      expect(new Set(names).size).toBe(100);
      names.forEach((name, index) => expect(name).toBe(names[index % 100]));
    },
  );
});

it('does not take a helper that is slow to start for one that hangs', async () => {
  await withPipes(
    100,
    () => true,
    async (pipes) => {
      using helper = new QueryHelper({ silenceMs: 2_000, startupMs: 0 });
      const asked = ask(helper, pipes);
      await turn();
      const started = helper.processId!;
      // It starts ten times slower, and says nothing for longer than its silence may be.
      const { result, pauses } = await starve(started, { runMs: 40, standMs: 500 }, asked);
      expect(pauses).toBeGreaterThan(1);
      expect(helper.processId).toBe(started);
      expect(result.filter(({ name }) => name === undefined)).toEqual([]);
    },
  );
});

it('does not take queries for blocked that the whole time-out passed over while their process stood still', async () => {
  const timeoutMs = 1_500;
  await withPipes(
    51,
    (index) => index === 50,
    async (pipes) => {
      using helper = new QueryHelper({ script: READING_HELPER, timeoutMs, silenceMs: 60_000 });
      const asked = ask(helper, pipes);
      // All are begun in one turn. When the byte of the last pipe is gone, the other queries wait for theirs.
      while (readableBytes(pipes[50]!) > 0) await sleep(5);
      await standStill(helper.processId!, timeoutMs + 500);
      // It runs again, and finds the clock advanced by more than the time-out.
      await sleep(200);
      pipes.slice(0, 50).forEach((pipe, index) => fill(pipe, index));
      (await asked).forEach((answer, index) => expect(answer).toMatchObject({ name: `byte ${index}` }));
    },
  );
});

it('answers all beside sixteen busy threads', async () => {
  const busy = Array.from({ length: 16 }, () => new Worker('for (;;);', { eval: true }));
  try {
    await withPipes(
      100,
      () => true,
      async (pipes) => {
        using helper = new QueryHelper({ timeoutMs: 250 });
        const many = Array.from({ length: 2_000 }, (_, index) => pipes[index % 100]!);
        expect((await ask(helper, many)).filter(({ name }) => name === undefined)).toEqual([]);
      },
    );
  } finally {
    await Promise.all(busy.map((worker) => worker.terminate()));
  }
});
