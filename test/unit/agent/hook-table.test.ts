import { describe, expect, test } from 'vitest';

import { functionTable, numberedFunctions, recordedCalls } from '../../../src/agent/tables/function-table.ts';
import { hookTable, numberedRows } from '../../../src/agent/tables/hook-table.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import { MAY_BE_INHERITABLE } from '../../../src/agent/ledger/layout.ts';
import { HOOK_ARGUMENT_COUNT_MAX, receivers, usedHandles } from '../../../src/agent/emit/hooks/hook-frame.ts';
import { RUNTIME_OBJECT_ARGUMENT_COUNT_MAX } from '../../../src/agent/emit/hooks/runtime-objects/runtime-object-frame.ts';

test('no call stands in the tables twice', () => {
  const names = recordedCalls.map((row) => ('module' in row ? `${row.module}!${row.name}` : row.name));
  expect(names.toSorted()).toEqual([...new Set(names)].toSorted());
});

test('a row is found again by the number that stands for it in the ledger', () => {
  for (const { row, rowNumber } of [...numberedRows, ...numberedFunctions])
    expect(recordedCalls[rowNumber - 1]).toBe(row);
  expect([...numberedRows, ...numberedFunctions]).toHaveLength(recordedCalls.length);
  expect(recordedCalls.length, 'numbers have 15 bits in a slot').toBeLessThan(MAY_BE_INHERITABLE);
  expect(numberedRows[0]?.rowNumber, '0 stands for what was there before').toBe(1);
});

test('a partition is stored through the second argument, the first being its parent', () => {
  // phnt's ntmmapi.h: NtCreatePartition(ParentPartitionHandle, *PartitionHandle, DesiredAccess, ObjectAttributes,
  // PreferredNode)
  const row = hookTable.find(({ name }) => name === 'NtCreatePartition');
  expect(row).toMatchObject({ argumentCount: 5, opens: [{ argument: 1, type: 'Partition' }], uses: [0] });
});

test('the index of a type fits into a slot, and 0 means that the type is not known', () => {
  expect(objectTypes[0]).toBe('Unknown');
  expect(new Set(objectTypes).size).toBe(objectTypes.length);
  expect(objectTypes.length).toBeLessThan(0x1_0000);
});

test('OBJECT_ATTRIBUTES are the third argument of a call that opens one handle through its first', () => {
  const withAttributes = hookTable.filter(({ attributes }) => attributes !== undefined);
  expect(withAttributes.length).toBeGreaterThan(30);
  for (const { attributes, argumentCount, opens, uses } of withAttributes) {
    expect(attributes).toBe(2);
    expect(argumentCount).toBeGreaterThan(2);
    expect(opens.map(({ argument }) => argument)).toEqual([0]);
    expect(uses).not.toContain(2);
  }
  // phnt: the third argument is a mask of access rights, a process, or a size.
  const others = [
    'NtCreateIRTimer',
    'NtCreateProfile',
    'NtCreateIoRing',
    'NtAllocateReserveObject',
    'NtCreatePort',
    'NtOpenProcessToken',
    'NtCreateUserProcess',
  ];
  expect(withAttributes.filter(({ name }) => others.includes(name))).toEqual([]);
});

describe.each(hookTable)('$name', ({ name, argumentCount, role, opens, uses }) => {
  test('has arguments that the hook’s frame has room for', () => {
    expect(name).toMatch(/^Nt[A-Z]\w+$/);
    expect(argumentCount).toBeGreaterThanOrEqual(1);
    expect(argumentCount).toBeLessThanOrEqual(HOOK_ARGUMENT_COUNT_MAX);
  });

  test('names handles and results among its own arguments', () => {
    for (const { argument } of opens) expect(argument).toBeLessThan(argumentCount);
    for (const argument of uses) expect(argument).toBeLessThan(argumentCount);
    const named = [...opens.map(({ argument }) => argument), ...uses];
    expect(new Set(named).size).toBe(named.length);
  });

  test('needs no more places in the frame than there are', () => {
    expect(uses.length).toBeLessThanOrEqual(usedHandles.length);
    // The second receiver shares its place with the value that a shared body keeps.
    expect(opens.length).toBeLessThanOrEqual(role === 'opens' ? 1 : receivers.length);
  });

  test('has what its role works with', () => {
    const opensSome = ['opens', 'opens-file', 'creates-process'].includes(role);
    expect(opens.length > 0).toBe(opensSome);
    if (['uses', 'waits', 'controls-device', 'sets-object', 'maps'].includes(role))
      expect(uses[0]).toBe(name === 'NtAccessCheck' ? 1 : 0);
    if (role === 'opens-file') expect({ uses, opens }).toEqual({ uses: [], opens: [{ argument: 0, type: 'File' }] });
    if (role === 'waits-many') expect(argumentCount).toBe(5);
    if (role === 'maps' || role === 'controls-device') expect(uses).toEqual([0, 1]);
  });
});

describe.each(functionTable)('$module!$name', (row) => {
  test('has arguments that the hook’s frame has room for', () => {
    expect(row.argumentCount).toBeLessThanOrEqual(
      row.kind === 'socket' ? HOOK_ARGUMENT_COUNT_MAX : RUNTIME_OBJECT_ARGUMENT_COUNT_MAX,
    );
  });

  test('names runtime objects among its own arguments', () => {
    if (row.kind === 'socket') return expect(row.argumentCount).toBeGreaterThanOrEqual(1);
    const { opens, closes, uses } = row;
    const named = [closes?.argument, uses?.argument, opens?.from === 'result' ? undefined : opens?.argument].filter(
      (argument) => argument !== undefined,
    );
    for (const argument of named) expect(argument).toBeLessThan(row.argumentCount);
    expect([opens, closes, uses].some((effect) => effect !== undefined)).toBe(true);
    // A function that opens must have a result that says whether the call failed.
    if (opens !== undefined) expect(row.failure).not.toBe('never');
  });
});
