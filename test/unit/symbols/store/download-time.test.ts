import { afterEach, beforeEach, expect, test, vi } from 'vitest';

import { DownloadTime } from '../../../../src/symbols/store/download-time.ts';

beforeEach(() => void vi.useFakeTimers({ toFake: ['hrtime', 'setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** Does work of a length, and says whether the time was over by its end. */
function work(time: DownloadTime, ms: number): Promise<boolean> {
  return time.during(async (signal) => {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return signal.aborted;
  });
}

async function outcome(result: Promise<boolean>, ms: number): Promise<boolean> {
  await vi.advanceTimersByTimeAsync(ms);
  return await result;
}

test('the time between downloads does not count', async () => {
  const time = new DownloadTime(1000);
  expect(await outcome(work(time, 600), 600)).toBe(false);
  await vi.advanceTimersByTimeAsync(1_000_000);
  expect(await outcome(work(time, 300), 300)).toBe(false);
});

test('the times of downloads add up, and what is over stays over', async () => {
  const time = new DownloadTime(1000);
  expect(await outcome(work(time, 600), 600)).toBe(false);
  expect(await outcome(work(time, 600), 600)).toBe(true);
  expect(await outcome(work(time, 1), 1)).toBe(true);
});

test('downloads at the same time count once', async () => {
  const time = new DownloadTime(1000);
  const works = [work(time, 400), work(time, 700), work(time, 900)];
  expect(
    await outcome(
      Promise.all(works).then((over) => over.some(Boolean)),
      900,
    ),
  ).toBe(false);
  expect(await outcome(work(time, 200), 200)).toBe(true);
});

test('the time of a download that fails counts, too', async () => {
  const time = new DownloadTime(1000);
  const failed = time.during(async () => {
    await new Promise((resolve) => setTimeout(resolve, 600));
    throw new Error('no server');
  });
  const rejection = expect(failed).rejects.toThrow('no server');
  await vi.advanceTimersByTimeAsync(600);
  await rejection;
  expect(await outcome(work(time, 600), 600)).toBe(true);
});
