import { expect, test } from 'vitest';

import { nameTest } from '../../src/handles/name-filter.ts';
import { ends } from '../hang.ts';

test.each([
  ['log', 'C:\\LOGS\\app.txt', true],
  ['LOGS\\', 'c:\\logs\\app.txt', true],
  ['logs/', 'c:\\logs\\app.txt', false],
  ['*.txt', 'c:\\logs\\app.txt', true],
  ['*.tx', 'c:\\logs\\app.txt', false],
  ['c:\\*\\app.???', 'C:\\a\\b\\app.txt', true],
  ['?', '', false],
  ['*', '', true],
  ['a*b*c', 'a-b-c-b', false],
  ['a*b*c', 'axbxbxc', true],
  ['[a]*', '[A] name', true],
  ['*\n*', 'two\nlines', true],
])('%j and %j: %j', (text, name, expected) => {
  expect(nameTest(text)(name)).toBe(expected);
});

test('a pattern with many stars comes to an end on a long name that almost matches', () => {
  expect(ends(() => nameTest('*a*a*a*a*a*a*a*a*b')('a'.repeat(32_000)))).toBe(false);
});
