import { describe, expect, it } from 'vitest';

import { MarkFinder } from '../../../src/process/streams/mark-finder.ts';

const mark = Buffer.from('<mark>');

/** All that is given on until the mark is found. */
function take(pieces: readonly string[], isExpected = true): { text: string; isFound: boolean } {
  const finder = new MarkFinder(mark);
  let text = '';
  for (const piece of pieces) {
    const { bytes, isFound } = finder.take(Buffer.from(piece), isExpected);
    text += String(bytes);
    if (isFound) return { text, isFound };
  }
  return { text, isFound: false };
}

describe('a mark among bytes', () => {
  it.each([
    ['alone', ['<mark>'], ''],
    ['behind others', ['text<mark>'], 'text'],
    ['before others, which a child wrote behind it', ['text<mark>more'], 'textmore'],
    ['in two pieces', ['text<ma', 'rk>'], 'text'],
    ['in two pieces, before others', ['text<', 'mark>more'], 'textmore'],
    ['byte by byte', [...'ab<mark>'], 'ab'],
    ['behind the beginning of another', ['<ma<mar', 'k>'], '<ma'],
  ])('is found and left out: %s', (_name, pieces, text) => {
    expect(take(pieces)).toEqual({ text, isFound: true });
  });

  it.each(Array.from({ length: 15 }, (_, at) => at))('is found wherever a piece ends: after %i bytes', (at) => {
    const all = 'text<mark>more!';
    const text = at < 10 ? 'textmore!' : `text${all.slice(10, at)}`;
    expect(take([all.slice(0, at), all.slice(at)])).toEqual({ text, isFound: true });
  });

  it('holds nothing back where it is not expected', () => {
    expect(take(['a<', '<mark'], false)).toEqual({ text: 'a<<mark', isFound: false });
  });
});
