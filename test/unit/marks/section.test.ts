import { EventEmitter } from 'node:events';

import { describe, expect, it, vi } from 'vitest';

/** Lines that have reached the auditor. */
const told: string[] = [];
/** Whether the auditor is there. */
let isThere = true;

vi.mock('node:net', () => ({
  connect: (_: string, onConnect: () => void) => {
    const pipe = Object.assign(new EventEmitter(), {
      setEncoding: () => {},
      end: () => pipe.emit('close'),
      write: (line: string) => {
        told.push(line.replace(/#\d+/, '').trim());
        pipe.emit('data', '1\n');
      },
    });
    queueMicrotask(() => {
      if (isThere) onConnect();
      else pipe.emit('error', Object.assign(new Error('gone'), { code: 'ENOENT' }));
    });
    return pipe;
  },
}));

const { section } = await import('../../../src/marks/mark.ts');

const leave = (): void => void (isThere = false);
const fail = (): never => {
  throw new Error('the work');
};

describe('work within a section', () => {
  it.each([
    ['gives its result', () => 'done', 'done', ['begin a', 'end a']],
    ['passes on its error', fail, 'the work', ['begin a', 'end a']],
    ['passes on its error, although the auditor is gone', () => (leave(), fail()), 'the work', ['begin a']],
    ['fails when the auditor is gone at its end', leave, 'Cannot end a section by', ['begin a']],
  ])('%s', async (_, work: () => unknown, outcome, lines) => {
    isThere = true;
    told.length = 0;
    const result = await section('a', work, 'pipe:tests').catch(({ message }: Error) => message);
    expect(result).toContain(outcome);
    expect(told).toEqual(lines);
  });
});
