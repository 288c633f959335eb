import { describe, expect, it, vi } from 'vitest';
import { CtrlC } from '../../../src/cli/ctrl-c.ts';
import type { Interruption } from '../../../src/cli/interruptions.ts';

const interruptions: readonly (readonly [Interruption, string, number])[] = [
  ['SIGINT', 'Ctrl-C', 3000],
  ['SIGBREAK', 'Ctrl-Break', 3000],
  ['SIGHUP', 'the end of the console, after which Windows ends the tool itself', 1000],
];

describe('an interruption', () => {
  it.each(interruptions)('by %s, %s, gives the target %i ms', (signal, _what, graceMs) => {
    vi.useFakeTimers();
    try {
      using interruption = new CtrlC();
      expect(process.emit(signal)).toBe(true);
      expect(interruption.began.aborted).toBe(true);
      vi.advanceTimersByTime(graceMs - 1);
      expect(interruption.signal.aborted).toBe(false);
      vi.advanceTimersByTime(1);
      expect(interruption.signal.aborted).toBe(true);
    } finally {
      vi.useRealTimers();
    }
  });

  it.each(interruptions)('by %s is no longer heard after the command', (signal) => {
    const before = process.listenerCount(signal);
    {
      using _interruption = new CtrlC();
      expect(process.listenerCount(signal)).toBe(before + 1);
    }
    expect(process.listenerCount(signal)).toBe(before);
  });
});
