import { describe, expect, it } from 'vitest';

import { HandlesLeftError } from '../../../src/verify/handles-left-error.ts';

const file = { value: 0x1a4n, type: 'File', name: 'C:\\work\\app.log' };

describe('the error of a test that leaves handles open', () => {
  it('names the test, each handle, and the line that made its owner', () => {
    const { message, stack } = new HandlesLeftError(
      [file, { value: 0x1a8n, type: 'Event', name: '', madeAt: 'open (file:///C:/work/log.js:12:20)' }],
      ['Cache > evicts'],
    );
    expect(message).toBe(
      [
        '2 handles were left open by “Cache > evicts”:',
        '  File 0x1a4  C:\\work\\app.log',
        '  Event 0x1a8',
        '    made at open (file:///C:/work/log.js:12:20)',
      ].join('\n'),
    );
    expect(stack).toBe(`HandlesLeftError: ${message}`);
  });

  it('accuses none of several tests that ran at once', () => {
    expect(new HandlesLeftError([file], ['a', 'b']).message).toMatch(
      /^1 handle was left open by one of the tests “a”, “b”, which ran at the same time:/,
    );
  });

  it('has an end, however many handles and tests there are', () => {
    const tests = Array.from({ length: 100 }, (_, index) => `test ${index}`);
    const { message } = new HandlesLeftError(Array(1000).fill(file), tests);
    expect(message.split('\n')).toHaveLength(22);
    expect(message).toMatch(/“test 4” and 95 more, which ran/);
    expect(message).toMatch(/\n {2}and 980 more$/);
  });

  it('escapes what names hold', () => {
    const { message } = new HandlesLeftError([{ ...file, name: 'a\u001b[31m\nb' }], ['c\u202ed']);
    expect(message).toContain('a\\x1b[31m\\nb');
    expect(message).toContain('“c\\u{202e}d”');
  });
});
