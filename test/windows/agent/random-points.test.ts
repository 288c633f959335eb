import { describe, expect, test } from 'vitest';

import { MAXIMUM_FRAMES } from '../../../src/agent/ledger/layout.ts';
import type { RecordingOptions } from '../../../src/agent/inject/recording-options.ts';
import { fixturePath } from '../tool.ts';
import { runProgram } from './recorded-program.ts';

const POINTS = 1500;

/** A frame of the recorder's own, in the middle of a stack: a hooked wait that was interrupted. */
const RECORDERS_FRAME = '-';

/** Before a word of the stack that looks like a frame, but no code is there. */
const NO_CODE = '~';

interface Outcome {
  readonly points: number;
  /** Distinct stacks, in the program's own spelling. */
  readonly stacks: ReadonlySet<string>;
  /** How often the program took each way. */
  readonly reached: Readonly<Record<string, number>>;
  readonly differences: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
  /** Walks that did without the documented unwinder. */
  readonly fastWalks: number;
}

/**
 * Runs `opens-at-random-points` and compares, for each handle, the ledger's opening stack with what the program's own
 * walk found.
 *
 * The program walks from the very function that opens the handle, by RtlLookupFunctionEntry and RtlVirtualUnwind. Where
 * a function has no unwind data both take it for a leaf, and both end where a return address is 0, or a step would not
 * go up, would leave the stack, or came to an address without code. So all addresses are the same above the opening
 * function, whose own address differs, for it is that of another call; below that function stand only the system's,
 * which the program cannot see. The recorder ends after {@link MAXIMUM_FRAMES}, counting its own.
 */
async function compareStacks(program: string, seed: number, options: RecordingOptions): Promise<Outcome> {
  const recorded = new Map<bigint, readonly bigint[]>();
  let counters = {};
  let fastWalks = 0;
  const { exitCode, output } = await runProgram(program, [String(seed), String(POINTS)], options, ({ ledger }) => {
    ledger.check();
    for (const value of ledger.openValues()) {
      const opened = ledger.life(value)?.opened;
      if (opened !== undefined) recorded.set(value, ledger.stack(opened.stackId));
    }
    const { opens, closes } = ledger.totals();
    fastWalks = opens + closes - ledger.counter('slowWalks');
    const names = ['walkMismatches', 'nestedWalks', 'droppedStacks', 'beyondCapacity'] as const;
    counters = Object.fromEntries(names.map((name) => [name, ledger.counter(name)]));
  });
  expect(exitCode, output.slice(-200)).toBe(0);

  const stacks = new Set<string>();
  const differences: string[] = [];
  const points = [...output.matchAll(/^point (\S+) (\S+) (\S+)(.*?)\r?$/gm)];
  for (const [, handle = '', begin = '', end = '', frames = ''] of points) {
    const own = frames.split(' ').slice(1);
    stacks.add(own.join(' '));
    const stack = recorded.get(BigInt(`0x${handle}`)) ?? [];
    const opener = stack.findIndex((address) => address > BigInt(`0x${begin}`) && address <= BigInt(`0x${end}`));
    // A frame that would be the last of a full stack is not looked at any more.
    const last = MAXIMUM_FRAMES - 2 - opener;
    const expected = own
      .slice(0, last + 1)
      .filter((frame, index) => frame !== RECORDERS_FRAME && (index === last || !frame.startsWith(NO_CODE)))
      .map((frame) => frame.replace(NO_CODE, ''));
    const actual = stack.slice(opener + 1).map((address) => address.toString(16));
    if (opener < 0 || expected.join(' ') !== actual.join(' ')) {
      differences.push(
        `seed ${seed}, handle 0x${handle}: opener ${opener}\n  walked   ${expected.join(' ')}\n  recorded ${actual.join(' ')}`,
      );
    }
  }
  const reached = Object.fromEntries(
    [...output.matchAll(/^reached (\w+) (\d+)/gm)].map(([, way = '', count]) => [way, Number(count)]),
  );
  return { points: points.length, stacks, reached, differences, counters, fastWalks };
}

const builds = ['', '-release', '-pdb'].map((flavour) => `opens-at-random-points${flavour}`);

describe('the recorded stacks are those that the program itself walks, at random points of', () => {
  test.each(builds)('%s', async (name) => {
    const unchecked = [
      await compareStacks(fixturePath(name), 1, { checked: false }),
      await compareStacks(fixturePath(name), 2, { checked: false }),
    ];
    const outcomes = [...unchecked, await compareStacks(fixturePath(name), 3, { checked: true })];
    for (const { points, differences, counters } of outcomes) {
      expect(differences.slice(0, 3)).toEqual([]);
      expect(counters).toEqual({ walkMismatches: 0, nestedWalks: 0, droppedStacks: 0, beyondCapacity: 0 });
      expect(points).toBe(POINTS);
    }
    for (const { fastWalks } of unchecked) expect(fastWalks).toBeGreaterThan(POINTS / 5);
    const distinct = new Set(outcomes.flatMap(({ stacks }) => [...stacks]));
    expect(distinct.size).toBeGreaterThan(4000);
    const ways = new Set(outcomes.flatMap(({ reached }) => Object.keys(reached)));
    expect(ways.size).toBe(23);
    for (const way of ways)
      expect(
        outcomes.reduce((sum, { reached }) => sum + reached[way]!, 0),
        way,
      ).toBeGreaterThan(0);
  });
});
