import { describe, expect, it } from 'vitest';
import { escapeText } from '../../../src/text/escape.ts';
import { cutEnd, cutMiddle, padText, textWidth, wrapText } from '../../../src/report/text-width.ts';
import { hostileText, randomNumbers } from './hostile.ts';

describe('the width of text', () => {
  it.each([
    ['abc', 3],
    ['', 0],
    ['größe', 5],
    ['漢字', 4],
    ['한국어', 6],
    ['ＡＢ', 4],
    ['😀', 2],
    ['e\u0301', 1],
    ['│❯…→✓', 5],
  ])('of %j is %i', (text, width) => {
    expect(textWidth(text)).toBe(width);
  });
});

describe('cutting', () => {
  it.each([
    [20, 'C:\\log…chive\\app.log'],
    [23, 'C:\\logs\\archive\\app.log'],
    [1, '…'],
  ])('in the middle to %i keeps the end of a path', (width, cut) => {
    expect(cutMiddle('C:\\logs\\archive\\app.log', width, '…')).toBe(cut);
  });

  it('at the end shows that it was cut', () => {
    expect(cutEnd('abcdef', 4, '…')).toBe('abc…');
    expect(cutEnd('abcdef', 6, '…')).toBe('abcdef');
    expect(cutEnd('漢字漢字', 4, '…')).toBe('漢…');
  });

  it('never exceeds the width, nor changes what fits', () => {
    const random = randomNumbers(3);
    for (let round = 0; round < 2000; round += 1) {
      const text = escapeText(hostileText(random));
      const width = 3 + random(60);
      for (const cut of [cutEnd(text, width, '...'), cutMiddle(text, width, '...')]) {
        expect(textWidth(cut)).toBeLessThanOrEqual(width);
        if (textWidth(text) <= width) expect(cut).toBe(text);
      }
    }
  });

  it('pads by width and not by length', () => {
    expect(padText('漢', 4)).toBe('漢  ');
    expect(padText('long', 2)).toBe('long');
  });
});

describe('wrapping', () => {
  it('breaks at spaces, and within a word only when it must', () => {
    expect(wrapText('one two three', 7)).toEqual(['one two', 'three']);
    expect(wrapText('a bcdefghij k', 4)).toEqual(['a', 'bcde', 'fghi', 'j k']);
    expect(wrapText('', 10)).toEqual(['']);
  });

  it('never exceeds the width and loses nothing but spaces', () => {
    const random = randomNumbers(4);
    for (let round = 0; round < 2000; round += 1) {
      const text = escapeText(hostileText(random));
      const width = 2 + random(60);
      const lines = wrapText(text, width);
      for (const line of lines) expect(textWidth(line)).toBeLessThanOrEqual(width);
      expect(lines.join('').replaceAll(' ', '')).toBe(text.replaceAll(' ', ''));
    }
  });
});
