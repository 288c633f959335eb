import { describe, expect, it } from 'vitest';
import type { LedgerMisuse } from '../../../src/call-ledger.ts';
import { dropNestedRefusals } from '../../../src/evidence/nested-refusals.ts';
import { calledBy, openLife, ToldLedger } from './told-ledger.ts';

interface Refusal {
  readonly call: string;
  readonly stack: readonly bigint[];
  readonly values?: readonly bigint[];
  readonly mayUseOthers?: true;
  /** `ws2_32.dll` by default for what is no system call. */
  readonly functionOf?: string;
}

function refusal(stackId: number, { call, values = [0x44n], ...rest }: Refusal): LedgerMisuse {
  const { functionOf = call.startsWith('Nt') ? undefined : 'ws2_32.dll', mayUseOthers } = rest;
  return {
    kind: 'use',
    status: 0xc000_0008,
    count: 1,
    values,
    offending: calledBy(stackId, call),
    worksOn: [],
    life: openLife(0),
    ...(functionOf && { functionOf }),
    ...(mayUseOthers && { mayUseOthers }),
  };
}

/** The calls that are left of some refusals. */
function keep(refusals: readonly Refusal[]): readonly string[] {
  const ledger = new ToldLedger({ stacks: Object.fromEntries(refusals.map(({ stack }, id) => [id + 1, stack])) });
  const misuses = refusals.map((each, id) => refusal(id + 1, each));
  return dropNestedRefusals(ledger, misuses, modules).map(({ offending }) => offending.call ?? '');
}

/** Names of modules by the upper digits of an address; what is below is the program, and 9… is no module. */
const moduleNames: Readonly<Record<number, string>> = { 7: 'WS2_32.dll', 8: 'KERNELBASE.dll' };

const modules = {
  moduleOf(address: bigint) {
    const digit = Number(address >> 12n);
    return digit === 9 ? undefined : { name: moduleNames[digit] ?? 'app.exe', isSystem: digit in moduleNames };
  },
};

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
      'is left out with another value where the function was given an object of another kind',
      [
        { call: 'NtWaitForSingleObject', stack: [0x7001n, 0x7002n, ...caller], values: [0x6e00_0000n] },
        { call: 'fclose', stack: caller, mayUseOthers: true },
      ],
      ['fclose'],
    ],
    [
      'is left out with another value where the object hides the handles beneath it, but not beside it',
      [
        { call: 'ClosePseudoConsole', stack: caller, values: [0x34_6060n], mayUseOthers: true },
        { call: 'NtClose', stack: [0x7001n, ...caller] },
        { call: 'NtSetEvent', stack: [0x7001n, 0x11n, 0x20n, 0x30n] },
      ],
      ['ClosePseudoConsole', 'NtSetEvent'],
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
      'is left out where other software stands between the function and its DLL',
      [
        { call: 'NtDeviceIoControlFile', stack: [0x7001n, 0x8001n, 0x50n, ...caller] },
        { call: 'setsockopt', stack: caller },
      ],
      ['setsockopt'],
    ],
    [
      'is left out where it is not known which module is in between',
      [
        { call: 'NtDeviceIoControlFile', stack: [0x8001n, 0x9001n, ...caller] },
        { call: 'setsockopt', stack: caller },
      ],
      ['setsockopt'],
    ],
    [
      'stays where another DLL made it, which the same place called',
      [
        { call: 'closesocket', stack: caller },
        { call: 'NtClose', stack: [0x8001n, ...caller] },
        { call: 'NtSetEvent', stack: [0x8002n, 0x50n, ...caller] },
      ],
      ['closesocket', 'NtClose', 'NtSetEvent'],
    ],
    [
      'stays where another DLL made it after a function that was given an object of another kind',
      [
        { call: 'fclose', stack: caller, functionOf: 'ucrtbase.dll', mayUseOthers: true },
        { call: 'NtClose', stack: [0x8001n, ...caller], values: [0x48n] },
      ],
      ['fclose', 'NtClose'],
    ],
    [
      'is left out where functions of two DLLs were refused, and one of them made it',
      [
        { call: 'closesocket', stack: caller },
        { call: 'RegCloseKey', stack: caller, functionOf: 'kernelbase.dll' },
        { call: 'NtClose', stack: [0x8001n, ...caller] },
      ],
      ['closesocket', 'RegCloseKey'],
    ],
    [
      'stays where the function of its DLL was refused another value',
      [
        { call: 'closesocket', stack: caller },
        { call: 'RegCloseKey', stack: caller, functionOf: 'kernelbase.dll', values: [0x48n] },
        { call: 'NtClose', stack: [0x8001n, ...caller] },
      ],
      ['closesocket', 'RegCloseKey', 'NtClose'],
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

  it('is found in a time that grows with the number of refusals from one place, and not with its square', () => {
    const [few, many] = [countReads(64), countReads(256)];
    expect(many / few).toBeLessThan(6);
  });
});

/** How many addresses are read to find the nested half of some refusals, all of one value and from one place. */
function countReads(count: number): number {
  let reads = 0;
  const counted = (stack: bigint[]): readonly bigint[] =>
    new Proxy(stack, {
      get: (target, key, receiver) => {
        if (typeof key === 'string' && /^\d+$/.test(key)) reads++;
        return Reflect.get(target, key, receiver) as unknown;
      },
    });
  const half = count / 2;
  const callers = Array.from({ length: half }, (_, index) => [0x10n, 0x20n, BigInt(0x1000 + index)]);
  const stacks = [...callers.map(counted), ...callers.map((stack) => counted([0x7001n, ...stack]))];
  const ledger = new ToldLedger({ stacks: Object.fromEntries(stacks.map((stack, id) => [id, stack])) });
  const misuses = stacks.map((_, id) =>
    refusal(id, { call: id < half ? 'setsockopt' : 'NtDeviceIoControlFile', stack: [], values: [0x44n] }),
  );
  expect(dropNestedRefusals(ledger, misuses, modules)).toEqual(misuses.slice(0, half));
  return reads;
}
