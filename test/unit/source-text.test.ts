import { expect, test } from 'vitest';

import { decodeSource } from '../../src/cli/source-lines.ts';

const text = 'int größe; // 日本\r\n';
const utf16 = Buffer.from(text, 'utf16le');

test.each([
  ['UTF-8', Buffer.from(text)],
  ['UTF-8 with a byte order mark', Buffer.from(`\ufeff${text}`)],
  ['UTF-16, little end first', Buffer.concat([Buffer.from([0xff, 0xfe]), utf16])],
  ['UTF-16, big end first', Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16()])],
  [
    'UTF-16 with half a character at its end',
    Buffer.concat([Buffer.from([0xfe, 0xff]), Buffer.from(utf16).swap16(), Buffer.from([0])]),
  ],
])('a source file in %s is decoded', (_, bytes) => {
  expect(decodeSource(bytes)).toBe(text);
});

test.each([
  ['a byte that is not UTF-8', Buffer.from([0x61, 0xff, 0x62]), 'a\ufffdb'],
  ['nothing', Buffer.alloc(0), ''],
  ['half a byte order mark', Buffer.from([0xff]), '\ufffd'],
])('a source file with %s does no harm', (_, bytes, expected) => {
  expect(decodeSource(bytes)).toBe(expected);
});
