import { expect, it } from 'vitest';

import { Silence, TICK_MS } from '../../../src/handles/query/silence.ts';

/**
 * The number of ticks after which a process counts as hung. The process says something at the ticks of `heard`, and has
 * used the processor time of `used`. At most 2,000.
 */
function ticksUntilHung(
  patience: { readonly silenceMs: number; readonly startupMs: number },
  heard: (tick: number) => boolean,
  used: (tick: number) => bigint | undefined,
): number | undefined {
  let tick = 0;
  const silence = new Silence({ ...patience, readProcessorTime: () => used(tick) });
  for (tick = 1; tick <= 2_000; tick++) {
    if (heard(tick)) silence.hear();
    if (silence.tick()) return tick;
  }
  return undefined;
}

const second = 1000 / TICK_MS;
const never = (): boolean => false;
const none = (): bigint => 5n;
const patience = { silenceMs: 3_000, startupMs: 0 };

it.each([
  ['says nothing and uses no processor time is hung when its silence is over', patience, never, none, 3 * second],
  ['starts has more time', { silenceMs: 3_000, startupMs: 15_000 }, never, none, 18 * second],
  [
    'has started and been heard has no more time',
    { silenceMs: 3_000, startupMs: 15_000 },
    (tick: number) => tick <= 10,
    none,
    9 + 3 * second,
  ],
  ['says something now and then is not hung', patience, (tick: number) => tick % 29 === 0, none, undefined],
  [
    'falls silent is hung that much later',
    patience,
    (tick: number) => tick < 100 && tick % 20 === 0,
    none,
    79 + 3 * second,
  ],
  [
    'uses processor time is not hung though it says nothing',
    patience,
    never,
    (tick: number) => BigInt(tick),
    60 * second,
  ],
  [
    'used the last processor time at its tenth second is hung after two silences',
    patience,
    never,
    (tick: number) => BigInt(Math.min(tick, 10 * second)),
    15 * second,
  ],
  [
    'uses processor time rarely, but within each silence, is not hung',
    patience,
    never,
    (tick: number) => BigInt(Math.floor(tick / 27)),
    60 * second,
  ],
  [
    'runs for ever without a word is hung after a minute',
    patience,
    never,
    (tick: number) => BigInt(tick) * 100_000n,
    60 * second,
  ],
  [
    'runs for ever and says so is not hung',
    patience,
    (tick: number) => tick % 599 === 0,
    (tick: number) => BigInt(tick),
    undefined,
  ],
  ['is not there is hung when its silence is over', patience, never, () => undefined, 3 * second],
])('a process that %s', (_, options, heard, used, ticks) => {
  expect(ticksUntilHung(options, heard, used)).toBe(ticks);
});
