// A static check of the agent's machine code: all that its hooks can reach, read by a disassembler that is not ours.
import { Register } from 'iced-x86';
import { describe, expect, test } from 'vitest';

import { assembleAgent } from '../../../../src/agent/emit/assembly.ts';
import type { AgentCode } from '../../../../src/agent/linkage/agent-code.ts';
import { runtimeObjectRow } from '../../../../src/agent/linkage/runtime-object-row.ts';
import { STACK_ARGUMENT_COUNT_MAX } from '../../../../src/agent/emit/hooks/runtime-objects/runtime-object-frame.ts';
import { numberedFunctions, recordedCalls } from '../../../../src/agent/tables/function-table.ts';
import { type ExploredFunction, Explorer } from './explore.ts';
import { argumentAtEntry, type MachineState, readPlace } from './machine-state.ts';
import { readUnwindTable } from './unwind-table.ts';
import { findUnwindError } from './unwinding.ts';

const HOME_SPACE_SIZE_BYTES = 32;

function exploreAll(code: AgentCode) {
  const table = readUnwindTable(code);
  const explorer = new Explorer(code, new Set(table.map(({ begin }) => begin)));
  const entries = [...code.callHooks, ...code.functionHooks];
  const hooks = recordedCalls.map((row, index) => ({ row, hook: explorer.explore(entries[index]!) }));
  return { table, explorer, hooks };
}

/** The explored function that makes the real call: the hook, or the body that it shares. */
function bodyOf(explorer: Explorer, hook: ExploredFunction): ExploredFunction {
  return hook.tail === undefined || hook.outward.length > 0 ? hook : explorer.explore(hook.tail);
}

function argumentAt(state: MachineState, index: number): string | undefined {
  const register = [Register.RCX, Register.RDX, Register.R8, Register.R9][index];
  return register === undefined ? readPlace(state, state.rsp + index * 8) : state.values.get(register);
}

function isRuntimeObjectFunction(row: object): boolean {
  return 'kind' in row && row.kind === 'runtime-object';
}

function findErrors(code: AgentCode): readonly string[] {
  return exploreAll(code).explorer.functions.flatMap(({ errors }) => errors);
}

describe.each([
  { quarantine: false, checked: false },
  { quarantine: true, checked: false },
  { quarantine: false, checked: true },
  { quarantine: true, checked: false, stops: true },
])('the code of %o', (variant) => {
  const code = assembleAgent(variant);
  const { table, explorer, hooks } = exploreAll(code);
  const { functions } = explorer;

  test('is reached from the hooks, all of it that has unwind data', () => {
    const entries = new Set(functions.map(({ entry }) => entry));
    const unreached = table.filter(({ begin }) => !entries.has(begin));
    expect(unreached).toEqual([]);
  });

  test('keeps the stack and the caller’s registers on every path, and returns by plain returns', () => {
    expect(functions.flatMap(({ errors }) => errors)).toEqual([]);
  });

  test('makes each real call once, with the arguments of the caller', () => {
    for (const { row, hook } of hooks) {
      const calls = bodyOf(explorer, hook).outward.filter(({ kind }) => kind === 'real');
      expect(calls, row.name).toHaveLength(1);
      // The hook of runtime objects copies as many stack arguments as the data of the row says: the next test.
      const count = isRuntimeObjectFunction(row) ? Math.min(row.argumentCount, 4) : row.argumentCount;
      const passed = Array.from({ length: count }, (_, index) => argumentAt(calls[0]!.state, index));
      expect(passed, row.name).toEqual(passed.map((_, index) => argumentAtEntry(index)));
    }
  });

  test('reads no more stack arguments of a function of runtime objects than it has: the stack may end there', () => {
    const data = Buffer.from(code.bytes);
    const counts = numberedFunctions.map(({ row }, index) => {
      const at = code.runtimeObjectRows[index]!;
      return isRuntimeObjectFunction(row) ? data[at + runtimeObjectRow.stackArguments] : 0;
    });
    expect(counts).toEqual(
      numberedFunctions.map(({ row }) => (isRuntimeObjectFunction(row) ? Math.max(0, row.argumentCount - 4) : 0)),
    );
    expect(Math.max(...counts.map(Number))).toBe(STACK_ARGUMENT_COUNT_MAX);
  });

  test('finds the stack aligned at each call that leaves it, with room for the home space', () => {
    for (const { entry, outward } of functions)
      for (const { at, state } of outward) {
        expect(Math.abs((state.rsp + 8) % 16), `${at.toString(16)} of ${entry.toString(16)}`).toBe(0);
        expect(state.rsp, `${at.toString(16)} of ${entry.toString(16)}`).toBeLessThanOrEqual(-HOME_SPACE_SIZE_BYTES);
      }
  });

  test('enters its own functions that have a frame with the stack aligned', () => {
    const framed = new Set(table.map(({ begin }) => begin));
    const calls = functions.flatMap((each) => each.calls).filter(({ target }) => framed.has(target));
    expect(calls.length).toBeGreaterThan(50);
    expect(calls.filter(({ state }) => (state.rsp + 8) % 16 !== 0)).toEqual([]);
  });

  test('calls through data only the two functions of a C runtime that its rows name', () => {
    const calls = functions.flatMap(({ outward }) => outward).filter(({ kind }) => kind === 'data');
    const displacements = new Set(calls.map(({ displacement }) => displacement));
    expect(displacements).toEqual(new Set([runtimeObjectRow.fileno, runtimeObjectRow.getOsfhandle]));
  });

  test('can be unwound at every instruction', () => {
    const wrong = functions.flatMap(({ states }) =>
      [...states].flatMap(([at, state]) => {
        const unwound = table.find(({ begin, end }) => at >= begin && at < end);
        const error = findUnwindError(code.bytes, at, state, unwound);
        return error === undefined ? [] : [`${at.toString(16)}: ${error}`];
      }),
    );
    expect(wrong).toEqual([]);
  });

  test('makes no system call itself', () => {
    // Only where an instruction begins: a distance may have any bytes.
    const instructions = functions.flatMap(({ states }) => [...states.keys()]);
    const opcodeAt = (at: number): string => Buffer.from(code.bytes.subarray(at, at + 2)).toString('hex');
    expect(instructions.length).toBeGreaterThan(5000);
    expect(instructions.filter((at) => ['0f05', '0f34', 'cd2e'].includes(opcodeAt(at)))).toEqual([]);
  });
});

describe('an image is found out', () => {
  const code = assembleAgent({ quarantine: false, checked: false });
  const [first] = readUnwindTable(code);
  /** Replaces the first occurrence of an instruction in the first function that has a frame. */
  const change = (from: string, to: string): AgentCode => {
    const bytes = Buffer.from(code.bytes);
    const at = bytes.indexOf(from, first!.begin, 'hex');
    expect(at).toBeLessThan(first!.end);
    bytes.write(to, at, 'hex');
    return { ...code, bytes: new Uint8Array(bytes) };
  };

  test.each([
    ['whose epilogue leaves out a register', '415f', '6690'], // pop r15 becomes a nop
    ['that changes a register of its caller’s', '4157', '4158'], // push r15 becomes pop r8
    ['that jumps by a register', '415f', 'ffe0'], // jmp rax
    ['that calls the kernel', '415f', '0f05'], // syscall
  ])('%s', (_what, from, to) => {
    expect(findErrors(change(from, to))).not.toEqual([]);
  });
});
