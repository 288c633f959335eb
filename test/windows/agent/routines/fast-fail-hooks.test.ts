import { beforeEach, describe, expect, it } from 'vitest';

import { at, relative } from '../../../../src/agent/asm/operands.ts';
import { eax, edx, r10d, r11, r8, r9, rax, rcx, rdx, rsp } from '../../../../src/agent/asm/registers.ts';
import { emitFastFailHook } from '../../../../src/agent/emit/hooks/functions/fast-fail-hooks.ts';
import { header } from '../../../../src/agent/ledger/layout.ts';
import { type FastFailFunction, functionTable } from '../../../../src/agent/tables/function-table.ts';
import { placeRoutines } from './placed-routines.ts';

const PF_FASTFAIL_AVAILABLE = 23n;
const rowOf = (name: string) => functionTable.find((each): each is FastFailFunction => each.name === name)!;

/**
 * Code behind a call. Where an `int 29h` would end this process, a jump leads over it: the hook looks at the shape of
 * the code alone.
 */
const shapes = {
  code: '85 c0 74 07 eb 05 90 90 90 cd 29', // test eax, eax; je +7; …; int 29h
  shortCode: '85 c0 74 04 eb 02 cd 29',
  longCode: '85 c0 74 10 eb 0e 90 90 90 90 90 90 90 90 90 90 90 90 cd 29',
  filledCall: '0f 1f 44 00 00 85 c0 74 07 eb 05 90 90 90 cd 29', // nop dword ptr [rax + rax]
  noFastFail: '85 c0 74 07 eb 05 90 90 90 90 90',
  otherInterrupt: '85 c0 74 07 eb 05 90 90 90 cd 2c',
  tooFar: '85 c0 74 11 eb 0f 90 90 90 90 90 90 90 90 90 90 90 90 90 cd 29',
  tooNear: '85 c0 74 03 eb 01 29',
  otherCondition: '85 c0 75 02 cd 29', // jne +2
  keepsAnswer: '90 90 90',
} as const;
type Shape = keyof typeof shapes;
const names = Object.keys(shapes) as readonly Shape[];

const routines = placeRoutines<Shape | 'gateCount' | 'failing'>({
  emit(asm, { environment }) {
    const [hook, answer, gateCount, count] = asm.labels('hook', 'answer', 'gateCount', 'count');
    const [failingHook, failing, sum] = asm.labels('failingHook', 'failing', 'sum');
    emitFastFailHook(asm, hook, rowOf('IsProcessorFeaturePresent'), environment);
    emitFastFailHook(asm, failingHook, rowOf('_invoke_watson'), environment);
    asm.bind(failing);
    asm.sub(rsp, 0x38);
    asm.mov(at(rsp, 0x20), rax);
    asm.mov(r10d, 1);
    asm.lea(r11, relative(sum));
    asm.call(failingHook);
    asm.add(rsp, 0x38);
    asm.ret();
    asm.bind(sum); // of its five arguments
    asm.mov(rax, at(rsp, 0x28));
    for (const register of [rcx, rdx, r8, r9]) asm.add(rax, register);
    asm.ret();
    asm.bind(environment.exitGate);
    asm.lockInc32(relative(count));
    asm.ret();
    asm.bind(answer); // the second argument, and something above the BOOLEAN
    asm.mov(eax, edx);
    asm.or(eax, 0x100);
    asm.ret();
    asm.bind(gateCount);
    asm.mov(eax, relative(count));
    asm.movImmediate32(relative(count), 0);
    asm.ret();
    const callers = names.map((name) => {
      const caller = asm.bind(asm.label(name));
      asm.sub(rsp, 0x28);
      asm.mov(r10d, 1);
      asm.lea(r11, relative(answer));
      asm.call(hook);
      asm.data(shapes[name].split(' ').map((byte) => parseInt(byte, 16)));
      asm.add(rsp, 0x28);
      asm.ret();
      return [name, caller] as const;
    });
    asm.align(8);
    asm.bind(count);
    asm.bind(environment.judgedName);
    asm.data(new Uint8Array(8));
    return { gateCount, failing, ...(Object.fromEntries(callers) as Record<Shape, (typeof callers)[number][1]>) };
  },
});

beforeEach(() => {
  routines.reset();
  routines.call('gateCount', {});
});

/** How often the gate was gone to. */
function ask(shape: Shape, feature: bigint, answer: bigint): bigint {
  expect(routines.call(shape, { rcx: feature, rdx: answer }).rax).toBe(answer);
  return routines.call('gateCount', {}).rax;
}

describe('a process goes to the gate when it asks for fast fails and', () => {
  it.each<Shape>(['code', 'shortCode', 'longCode', 'filledCall'])('a fast fail follows: %s', (shape) => {
    expect(ask(shape, PF_FASTFAIL_AVAILABLE, 1n)).toBe(1n);
    expect(routines.memory.getUint32(header.exitByException, true)).toBe(1);
    expect(routines.memory.getUint32(header.exitThread, true)).not.toBe(0);
  });
});

describe('a process that calls the function which fails fast', () => {
  it('goes to the gate first, and then on with all arguments', () => {
    const call = { rcx: 1n, rdx: 20n, r8: 300n, r9: 4000n, rax: 50_000n };
    expect(routines.call('failing', call).rax).toBe(54_321n);
    expect(routines.call('gateCount', {}).rax).toBe(1n);
    expect(routines.memory.getUint32(header.exitByException, true)).toBe(1);
  });
});

describe('a process goes on when', () => {
  it.each<Shape>(['noFastFail', 'otherInterrupt', 'tooFar', 'tooNear', 'otherCondition', 'keepsAnswer'])(
    'no fast fail follows: %s',
    (shape) => {
      expect(ask(shape, PF_FASTFAIL_AVAILABLE, 1n)).toBe(0n);
      expect(routines.memory.getUint32(header.exitThread, true)).toBe(0);
    },
  );

  it.each<[title: string, feature: bigint, answer: bigint]>([
    ['it asks for something else', 10n, 1n],
    ['there are no fast fails', PF_FASTFAIL_AVAILABLE, 0n],
  ])('%s', (_, feature, answer) => {
    expect(ask('code', feature, answer)).toBe(0n);
  });
});
