import { fileURLToPath } from 'node:url';

import { describe, expect, test } from 'vitest';

import type { Recording } from '../../../src/agent/inject/recording.ts';
import { ledgerLayout } from '../../../src/agent/ledger/layout.ts';
import { VirtualQueryEx } from '../../../src/ffi/kernel32.ts';
import type { StartedProcess } from '../../../src/process/spawn.ts';
import { fixturePath } from '../tool.ts';
import { runProgram } from './recorded-program.ts';

const nodeWorks = fileURLToPath(new URL('node-works.mjs', import.meta.url));

interface Target {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
}

function fixture(name: string, ...args: string[]): Target {
  return { name: [name, ...args].join(' '), program: fixturePath(name), args };
}

const node: Target = { name: 'node.exe at work', program: process.execPath, args: [nodeWorks] };

function counters({ ledger }: Recording): Readonly<Record<string, number>> {
  const names = [
    'walkMismatches',
    'droppedStacks',
    'droppedMisuses',
    'beyondCapacity',
    'unresolvedDuplicates',
    'functionsMissed',
  ] as const;
  return Object.fromEntries(names.map((name) => [name, ledger.counter(name)]));
}

const NOTHING_MISSED = {
  walkMismatches: 0,
  droppedStacks: 0,
  droppedMisuses: 0,
  beyondCapacity: 0,
  unresolvedDuplicates: 0,
  functionsMissed: 0,
};

describe('every remembered frame is what the documented unwinder says, in', () => {
  test.each([
    fixture('prints-stack'),
    fixture('many-threads-clean'),
    fixture('leaks-from-eight-threads'),
    fixture('exact-million', '16000'),
    fixture('throws-through-call'),
    fixture('walks-stack-in-apc'),
    fixture('crashes-with-handler'),
    fixture('prints-last-error'),
    fixture('leaks-on-one-path'),
    fixture('leaks-process'),
    fixture('double-closes-socket'),
    fixture('leaks-acceptex-socket'),
    fixture('demo'),
    node,
  ])('$name', async ({ program, args }) => {
    let seen: object | undefined;
    let opens = 0;
    await runProgram(program, args, { checked: true }, (recording) => {
      recording.ledger.check();
      seen = counters(recording);
      opens = recording.ledger.totals().opens;
      expect(recording.unrecognised).toEqual([]);
    });
    expect(seen).toEqual(NOTHING_MISSED);
    expect(opens).toBeGreaterThan(0);
  });
});

// Stacks with code made at run time on them (Node.js with JavaScript) are walked by the unwinder each time.
test('of forty thousand events opened and closed, less than one walk in a hundred needs the documented unwinder', async () => {
  let slowShare = 1;
  await runProgram(fixturePath('exact-million'), ['40000'], {}, ({ ledger }) => {
    const { opens, closes } = ledger.totals();
    slowShare = ledger.counter('slowWalks') / (opens + closes);
  });
  expect(slowShare).toBeLessThan(0.01);
});

test.each([{ checked: false }, { checked: true }])(
  'the recorded stacks are those that the system itself walks (%o)',
  async (options) => {
    const recorded = new Map<bigint, readonly bigint[]>();
    const { output } = await runProgram(fixturePath('prints-stack'), [], options, ({ ledger }) => {
      for (let value = 4n; value < 0x400n; value += 4n) {
        const life = ledger.life(value);
        if (life?.opened?.call === 'NtCreateEvent') recorded.set(value, ledger.stack(life.opened.stackId));
      }
    });
    const printed = [...output.matchAll(/^stack (0x[0-9a-f]+) (.*?)\r?$/gm)].map(([, event = '', frames = '']) => {
      const addresses = frames.split(' ').map(BigInt);
      // Below a thread's first function Wine's own walk finds a zero and then whatever lies there.
      const end = addresses.indexOf(0n);
      return { event: BigInt(event), frames: end < 0 ? addresses : addresses.slice(0, end) };
    });
    expect(printed).toHaveLength(20);
    for (const { event, frames } of printed) {
      const stack = recorded.get(event) ?? [];
      expect(stack.slice(1), `event ${event}`).toEqual(frames.slice(1));
      // The innermost address is in the same function, behind another call.
      expect(Number(frames[0]! - stack[0]!)).toBeGreaterThan(0);
      expect(Number(frames[0]! - stack[0]!)).toBeLessThan(0x100);
    }
  },
);

/**
 * Handle values depend on how far the threads have got; and Wine's debugger describes the whole machine after a crash.
 */
function withoutChance(output: string): string {
  return output
    .replace(/^([a-z-]+ [A-Z]\w+) 0x[0-9a-f]+/gm, '$1')
    .replace(/^(?:wine: )?Unhandled (?:page fault|exception)[^]*/im, '');
}

describe('a program that is recorded behaves as one that is not:', () => {
  test.each([
    fixture('prints-last-error'),
    fixture('prints-last-error-clean'),
    fixture('throws-through-call'),
    fixture('throws-through-call-clean'),
    fixture('walks-stack-in-apc'),
    fixture('crashes-with-handler'),
    fixture('crashes-with-handler-clean'),
    fixture('crashes'),
    fixture('exits-from-thread'),
    fixture('exits-from-two-threads'),
    fixture('terminates-itself'),
    fixture('sleeps'),
    fixture('prints-addresses'),
    fixture('many-threads-clean'),
    fixture('double-closes-file'),
    fixture('double-closes-socket'),
    fixture('double-closes-key'),
    fixture('closes-by-duplicate'),
    fixture('closes-moved-handle-by-process'),
    fixture('closes-protected-handle'),
    fixture('closes-null'),
    fixture('closes-invalid-handle-value'),
    fixture('duplicates-into-child'),
    fixture('takes-from-child'),
    fixture('waits-on-many-closed'),
    fixture('sends-on-closed-socket'),
    fixture('leaks-accepted-socket'),
    fixture('leaks-acceptex-socket'),
    fixture('leaks-awaited-connection'),
    fixture('leaks-in-dll'),
    fixture('uses-predefined-keys'),
    fixture('demo'),
    node,
    { name: 'node.exe that throws', program: process.execPath, args: ['-e', 'throw new RangeError("as planned")'] },
    {
      name: 'node.exe that does not find its module',
      program: process.execPath,
      args: ['-e', 'require("no-such-module")'],
    },
    { name: 'node.exe that aborts', program: process.execPath, args: ['-e', 'process.abort()'] },
  ])('$name', async ({ program, args }) => {
    const bare = await runProgram(program, args);
    const recorded = await runProgram(program, args, {});
    expect({ ...recorded, output: withoutChance(recorded.output) }).toEqual({
      ...bare,
      output: withoutChance(bare.output),
    });
  });
});

test('handle values beyond the capacity are counted', async () => {
  let beyond = 0;
  let recorded = 0;
  await runProgram(fixturePath('exact-million'), ['8000'], { slotCount: 64 }, ({ ledger }) => {
    ledger.check();
    beyond = ledger.counter('beyondCapacity');
    recorded = ledger.totals().opens;
  });
  expect(beyond).toBeGreaterThan(0);
  expect(recorded).toBeGreaterThan(0);
  // A close of a handle beyond the capacity counts too, so that there are at most twice as many.
  expect(beyond + recorded).toBeGreaterThan(8000);
});

describe('the ledger has memory', () => {
  const MIB = 2 ** 20;

  test.each<[what: string, handles: number, atLeast: number, below: number]>([
    ['for little in a program that opens few handles', 10, 6 * MIB, 8 * MIB],
    ['for all slots of a program that opens many', 60_000, 20 * MIB, 30 * MIB],
  ])('%s', async (_what, handles, atLeast, below) => {
    let target: StartedProcess | undefined;
    let committed = 0;
    let opens = 0;
    await runProgram(
      fixturePath('leaks-many'),
      [String(handles), '0'],
      {},
      ({ ledger }) => {
        ledger.check();
        committed = committedBytes(target!, ledgerLayout(1 << 20).sizeBytes);
        opens = ledger.totals().opens;
        expect(ledger.counter('beyondCapacity')).toBe(0);
      },
      (started) => (target = started),
    );
    expect(opens).toBeGreaterThanOrEqual(handles);
    expect(committed).toBeGreaterThanOrEqual(atLeast);
    expect(committed).toBeLessThan(below);
  });
});

/** Bytes of the target's mapped memory of a size that have memory behind them. */
function committedBytes(target: StartedProcess, sizeBytes: number): number {
  const MEM_COMMIT = 0x1000;
  const committed = new Map<bigint, number>();
  const sizes = new Map<bigint, number>();
  const add = (sums: Map<bigint, number>, base: bigint, size: number) => sums.set(base, (sums.get(base) ?? 0) + size);
  const region = Buffer.alloc(48); // MEMORY_BASIC_INFORMATION
  for (let address = 0n; VirtualQueryEx(target.asHandle().asRawHandle(), address, region, 48n) !== 0n; ) {
    const [base, size] = [region.readBigUInt64LE(8), region.readBigUInt64LE(24)];
    add(sizes, base, Number(size));
    if (region.readUInt32LE(32) === MEM_COMMIT) add(committed, base, Number(size));
    address = region.readBigUInt64LE(0) + size;
  }
  const rounded = Math.ceil(sizeBytes / 0x1000) * 0x1000;
  const [base] = [...sizes].find(([, size]) => size === rounded) ?? [];
  if (base === undefined) throw new Error('There is no ledger in the target.');
  return committed.get(base) ?? 0;
}
