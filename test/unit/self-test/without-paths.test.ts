import { expect, it } from 'vitest';

import { withoutPaths } from '../../../src/self-test/without-paths.ts';

it.each([
  ['Cannot run "C:\\Users\\Jane Doe\\node.exe": no.', 'Cannot run "…\\node.exe": no.'],
  ['\\\\?\\C:\\work\\app.exe', '…\\app.exe'],
  ['\\\\server\\share\\app.exe', '…\\app.exe'],
  ['open C:/Users/jane/x.json', 'open …\\x.json'],
  ['file:///home/jane/x.js:3', '…/x.js:3'],
  ['Account JANE may not.\nTry another.', 'Account <user> may not. Try another.'],
  ['NtOpenProcess 0xc0000022', 'NtOpenProcess 0xc0000022'],
])('%j shows no directory and no name', (text, expected) => {
  expect(withoutPaths(text, 'jane')).toBe(expected);
});
