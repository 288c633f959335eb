import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { OpenTimeline } from '../../../src/audit/open-timeline.ts';

/** A process with some handles open. */
class Counted {
  counts: Readonly<Record<string, number>>;
  asked = 0;

  constructor(counts: Readonly<Record<string, number>>) {
    this.counts = counts;
  }

  openByType(): ReadonlyMap<string, number> {
    this.asked++;
    return new Map(Object.entries(this.counts));
  }
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** A timeline on the clock of the test. */
const newTimeline = () => new OpenTimeline(() => Date.now());

describe('the open handles over time', () => {
  it('are counted from the first process on, by type, and at the end', () => {
    using timeline = newTimeline();
    vi.advanceTimersByTime(1000);
    expect(timeline.describe()).toEqual({});
    const process = new Counted({ File: 1 });
    timeline.join(process);
    vi.advanceTimersByTime(25);
    process.counts = { Event: 2, File: 3 };
    timeline.take();
    expect(timeline.describe().openOverTime).toEqual({
      timesMs: [0, 20, 25],
      types: [
        { type: 'Event', counts: [0, 0, 2] },
        { type: 'File', counts: [1, 1, 3] },
      ],
    });
  });

  it('are those of all processes together, and of none that has ended', () => {
    using timeline = newTimeline();
    const [one, other] = [new Counted({ File: 1 }), new Counted({ File: 2, Key: 1 })];
    timeline.join(one);
    timeline.join(other);
    timeline.take();
    vi.advanceTimersByTime(7);
    timeline.leave(other);
    timeline.take();
    timeline.leave(one);
    vi.advanceTimersByTime(1000);
    timeline.take();
    expect(timeline.describe().openOverTime).toEqual({
      timesMs: [0, 7],
      types: [
        { type: 'File', counts: [3, 1] },
        { type: 'Key', counts: [1, 0] },
      ],
    });
  });

  it.each([5_000, 60_000, 3_600_000])('are counted a bounded number of times in %d ms', (durationMs) => {
    using timeline = newTimeline();
    const process = new Counted({ File: 1 });
    timeline.join(process);
    vi.advanceTimersByTime(durationMs);
    process.counts = { File: 9 };
    timeline.take();
    const { timesMs, types } = timeline.describe().openOverTime!;
    expect(timesMs.length).toBeGreaterThan(90);
    expect(timesMs.length).toBeLessThanOrEqual(200);
    expect(process.asked).toBeLessThan(2000);
    expect([timesMs[0], timesMs.at(-1), types[0]!.counts.at(-1)]).toEqual([0, durationMs, 9]);
    const gaps = timesMs.slice(1, -1).map((time, index) => time - timesMs[index]!);
    expect(Math.max(...gaps)).toBeLessThanOrEqual(2 * Math.min(...gaps));
  });

  it('are counted less often where counting takes long', () => {
    using timeline = newTimeline();
    const slow = new Counted({ File: 1 });
    vi.spyOn(slow, 'openByType').mockImplementation(() => {
      slow.asked++;
      vi.setSystemTime(Date.now() + 100);
      return new Map([['File', 1_000_000]]);
    });
    timeline.join(slow);
    vi.advanceTimersByTime(20_000);
    expect(slow.asked).toBeGreaterThan(1);
    expect(slow.asked).toBeLessThanOrEqual(6);
  });

  it('leave out a process that has overwritten what was recorded', () => {
    using timeline = newTimeline();
    const damaged = new Counted({});
    vi.spyOn(damaged, 'openByType').mockImplementation(() => {
      throw new Error('damaged');
    });
    timeline.join(damaged);
    timeline.join(new Counted({ File: 2 }));
    vi.advanceTimersByTime(20);
    expect(timeline.describe().openOverTime?.types).toEqual([{ type: 'File', counts: [2, 2] }]);
    expect(damaged.openByType).toHaveBeenCalledTimes(1);
  });

  it('are counted no more when the audit is over', () => {
    const process = new Counted({ File: 1 });
    {
      using timeline = newTimeline();
      timeline.join(process);
      vi.advanceTimersByTime(20);
    }
    const { asked } = process;
    vi.advanceTimersByTime(1000);
    expect(process.asked).toBe(asked);
  });
});
