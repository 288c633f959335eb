import { describe, expect, it } from 'vitest';

import { fileTimeNow, fileTimeToDate, fileTimeToIso } from '../../../src/process/file-time.ts';

const unixEpoch = 116_444_736_000_000_000n;

describe('a FILETIME', () => {
  it.each([
    ['the beginning of 1970', unixEpoch, '1970-01-01T00:00:00.0000000Z'],
    ['a tick later', unixEpoch + 1n, '1970-01-01T00:00:00.0000001Z'],
    ['almost a millisecond later', unixEpoch + 9_999n, '1970-01-01T00:00:00.0009999Z'],
    ['a time before 1970', unixEpoch - 10_000n, '1969-12-31T23:59:59.9990000Z'],
    ['the first tick of all', 1n, '1601-01-01T00:00:00.0000001Z'],
    ['the last tick of all', 2n ** 63n - 1n, '+030828-09-14T02:48:05.4775807Z'],
  ])('of %s is spelled to the tick', (_, fileTime, iso) => {
    expect(fileTimeToIso(fileTime)).toBe(iso);
  });

  it.each([
    ['zero, which means never', 0n],
    ['a negative one', -1n],
  ])('is no date when it is %s', (_, fileTime) => {
    expect(fileTimeToDate(fileTime)).toBeUndefined();
    expect(fileTimeToIso(fileTime)).toBeUndefined();
  });

  it('of now is now', () => {
    const before = Date.now();
    const now = fileTimeToDate(fileTimeNow())!.getTime();
    expect(now).toBeGreaterThanOrEqual(before);
    expect(now).toBeLessThanOrEqual(Date.now());
  });
});
