import { setTimeout as sleep } from 'node:timers/promises';

import { expect, it } from 'vitest';

import type { AnswerMessage } from '../../../src/handles/query/protocol.ts';
import { createQueryServer, type Inspect } from '../../../src/handles/query/server.ts';
import { createPipe } from '../../../src/io/index.ts';

const TIMEOUT_MS = 200;

/** Asks a server in this process about one pipe as often as `count` says. */
function askServer(
  count: number,
  threads: number,
  inspect: Inspect,
): { readonly messages: readonly AnswerMessage[]; readonly heard: (answers: number) => Promise<void> } {
  const messages: AnswerMessage[] = [];
  const { reader, writer } = createPipe();
  const ask = createQueryServer({
    timeoutMs: TIMEOUT_MS,
    threads,
    send: (message) => void messages.push(message),
    inspect,
    askControl: () => Promise.resolve(),
  });
  ask({
    queries: Array.from({ length: count }, (_, id) => ({
      id,
      processId: process.pid,
      value: String(reader.asRawHandle()),
    })),
  });
  return {
    messages,
    async heard(answers) {
      while (messages.flatMap((message) => message.answers).length < answers) await sleep(5);
      reader.close();
      writer.close();
    },
  };
}

it('a query is not blocked when the process stood still for far more than its time-out', async () => {
  let isDone = (): void => undefined;
  const { messages, heard } = askServer(
    1,
    1,
    () => new Promise((resolve) => (isDone = () => resolve({ name: 'slow' }))),
  );
  // Acts like a process that gets no processor: time passes, and nothing happens in it. The timers are due before the
  // query comes back.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10 * TIMEOUT_MS);
  setImmediate(isDone);
  await heard(1);
  expect(messages.flatMap(({ answers }) => answers)).toEqual([{ id: 0, name: 'slow' }]);
});

it('messages without answers come while a query is out, until it is blocked', async () => {
  const { messages, heard } = askServer(1, 2, () => new Promise(() => undefined));
  await heard(1);
  expect(messages.map(({ answers }) => answers)).toEqual([[], [], [], [], [{ id: 0, timedOut: true }]]);
  expect(messages.some(({ exhausted }) => exhausted)).toBe(false);
});

it('a query that comes back after it was called blocked is answered once more, and its thread serves the next', async () => {
  const waiting: (() => void)[] = [];
  const { messages, heard } = askServer(
    2,
    1,
    () => new Promise((resolve) => waiting.push(() => resolve({ name: `${waiting.length}` }))),
  );
  while (messages.flatMap(({ answers }) => answers).length < 1) await sleep(5);
  expect(messages.at(-1)).toEqual({ answers: [{ id: 0, timedOut: true }], exhausted: true });
  waiting[0]!();
  while (waiting.length < 2) await sleep(5);
  waiting[1]!();
  await heard(3);
  expect(messages.flatMap(({ answers }) => answers)).toEqual([
    { id: 0, timedOut: true },
    { id: 0, name: '1' },
    { id: 1, name: '2' },
  ]);
});
