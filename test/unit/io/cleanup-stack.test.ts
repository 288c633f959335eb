import { describe, expect, it } from 'vitest';

import { CleanupStack } from '../../../src/io/cleanup-stack.ts';

function resource(name: string, log: string[], error?: Error): Disposable {
  return {
    [Symbol.dispose]: () => {
      log.push(name);
      if (error !== undefined) throw error;
    },
  };
}

describe('a cleanup stack', () => {
  it('gives back the last resource first, once', () => {
    const log: string[] = [];
    const stack = new CleanupStack();
    stack.use(resource('first', log));
    stack.use(undefined);
    stack.use(resource('last', log));
    stack[Symbol.dispose]();
    stack[Symbol.dispose]();
    expect(log).toEqual(['last', 'first']);
  });

  it('keeps all when it is disarmed', () => {
    const log: string[] = [];
    const stack = new CleanupStack();
    stack.use(resource('only', log));
    stack.disarm();
    stack[Symbol.dispose]();
    expect(log).toEqual([]);
  });

  it('gives all back when one fails', () => {
    const log: string[] = [];
    const stack = new CleanupStack();
    stack.use(resource('first', log));
    stack.use(resource('last', log, new Error('failed')));
    expect(() => stack[Symbol.dispose]()).toThrow('failed');
    expect(log).toEqual(['last', 'first']);
  });
});
