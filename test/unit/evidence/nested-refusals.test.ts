import { describe, expect, it } from 'vitest';
import type { LedgerMisuse } from '../../../src/call-ledger.ts';
import { dropNestedRefusals } from '../../../src/evidence/nested-refusals.ts';
import { calledBy, openLife, ToldLedger } from './told-ledger.ts';

interface Refusal {
  readonly call: string;
  readonly stack: readonly bigint[];
  readonly values?: readonly bigint[];
}

/** The calls that remain of some refusals. */
function keep(refusals: readonly Refusal[]): readonly string[] {
  const ledger = new ToldLedger({ stacks: Object.fromEntries(refusals.map(({ stack }, id) => [id + 1, stack])) });
  const misuses = refusals.map(
    ({ call, values = [0x44n] }, id): LedgerMisuse => ({
      kind: 'use',
      status: 0xc000_0008,
      count: 1,
      values,
      offending: calledBy(id + 1, call),
      byFunction: !call.startsWith('Nt'),
      life: openLife(0),
    }),
  );
  return dropNestedRefusals(ledger, misuses).map(({ offending }) => offending.call ?? '');
}

const caller = [0x10n, 0x20n, 0x30n];

describe('a refusal within a refused function', () => {
  it.each<[title: string, refusals: readonly Refusal[], kept: readonly string[]]>([
    [
      'is left out, whichever was recorded first',
      [
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, 0x7002n, ...caller] },
        { call: 'setsockopt', stack: caller },
      ],
      ['setsockopt'],
    ],
    [
      'is left out where its longer stack was cut at the far end',
      [
        { call: 'listen', stack: caller },
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, 0x10n, 0x20n] },
      ],
      ['listen'],
    ],
    [
      'is left out where a function calls a function',
      [
        { call: 'fclose', stack: caller },
        { call: '_close', stack: [0x7001n, ...caller] },
        { call: 'NtClose', stack: [0x7002n, 0x7001n, ...caller] },
      ],
      ['fclose'],
    ],
    [
      'stays where it was made by the same function on behalf of another caller',
      [
        { call: 'setsockopt', stack: caller },
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, 0x10n, 0x21n, 0x30n] },
      ],
      ['setsockopt', 'NtDeviceIoControlFile'],
    ],
    [
      'stays where it is about another value',
      [
        { call: 'setsockopt', stack: caller },
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, ...caller], values: [0x48n] },
      ],
      ['setsockopt', 'NtDeviceIoControlFile'],
    ],
    [
      'stays where the outer call is a system call, which makes no others',
      [
        { call: 'NtClose', stack: caller },
        { call: 'NtSetEvent', stack: [0x7001n, ...caller] },
      ],
      ['NtClose', 'NtSetEvent'],
    ],
    [
      'stays where it comes from the very same place',
      [
        { call: 'setsockopt', stack: caller },
        { call: 'NtClose', stack: caller },
      ],
      ['setsockopt', 'NtClose'],
    ],
    [
      'stays where the longer stack goes on differently',
      [
        { call: 'setsockopt', stack: caller },
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, ...caller, 0x40n] },
      ],
      ['setsockopt', 'NtDeviceIoControlFile'],
    ],
    [
      'stays without a stack',
      [
        { call: 'setsockopt', stack: [] },
        { call: 'NtClose', stack: [] },
      ],
      ['setsockopt', 'NtClose'],
    ],
  ])('%s', (_, refusals, kept) => {
    expect(keep(refusals)).toEqual(kept);
  });

  it('is found among thousands from one place, each of which is looked at once', () => {
    const count = 2048;
    const stackOf = (index: number) => [0x10n, 0x20n, BigInt(0x1000 + index)];
    const stacks = Object.fromEntries(
      Array.from({ length: count }, (_, index) => [
        [index + 1, stackOf(index)],
        [count + index + 1, [0x7001n, ...stackOf(index)]],
      ]).flat(),
    );
    const ledger = new ToldLedger({ stacks });
    const misuses = Array.from(
      { length: 2 * count },
      (_, index): LedgerMisuse => ({
        kind: 'use',
        status: 0xc000_0008,
        count: 1,
        values: [0x44n],
        offending: calledBy(index + 1, index < count ? 'setsockopt' : 'NtDeviceIoControlFile'),
        byFunction: index < count,
        life: openLife(0),
      }),
    );
    expect(dropNestedRefusals(ledger, misuses)).toEqual(misuses.slice(0, count));
    expect(ledger.stackReads).toBeLessThanOrEqual(2 * misuses.length);
  });
});
