import { describe, expect, test } from 'vitest';

import { functionTable, numberedFunctions, recordedCalls } from '../../../src/agent/tables/function-table.ts';
import type { HookRow } from '../../../src/agent/tables/hook-row.ts';
import { hookTable, numberedRows } from '../../../src/agent/tables/hook-table.ts';
import { objectTypes } from '../../../src/agent/tables/object-types.ts';
import { MAY_BE_INHERITABLE } from '../../../src/agent/ledger/layout.ts';
import { HOOK_ARGUMENT_COUNT_MAX, receivers, usedHandles } from '../../../src/agent/emit/hooks/hook-frame.ts';
import { STACK_ARGUMENT_COUNT_MAX } from '../../../src/agent/emit/hooks/runtime-objects/runtime-object-frame.ts';
import { documentedCalls } from './documented-prototypes.ts';
import { handleStoringCalls } from './handle-storing-calls.ts';

/** Something of each row, by its name. */
function byName<Value>(value: (row: HookRow) => Value): Readonly<Record<string, Value>> {
  return Object.fromEntries(hookTable.map((row) => [row.name, value(row)]));
}

const documented = (value: (call: (typeof documentedCalls)[number]) => unknown) =>
  Object.fromEntries(documentedCalls.map((call) => [call.name, value(call)]));

/** Names of the rows of which something is true. */
const namesOf = (isSo: (row: HookRow) => boolean) => hookTable.filter(isSo).map(({ name }) => name);

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

test('no call opens two handles of one type: the type of an opening names the argument that it came through', () => {
  const twice = namesOf(({ opens }) => new Set(opens.map(({ type }) => type)).size < opens.length);
  expect(twice).toEqual([]);
});

// The unwinder makes these calls, and waits by the last: https://github.com/kevoreilly/capemon/issues/12
test('no call is hooked that the walk of a stack needs', () => {
  const needed = [
    'NtProtectVirtualMemory',
    'NtAllocateVirtualMemory',
    'NtQueryVirtualMemory',
    'NtWaitForAlertByThreadId',
  ];
  expect(namesOf(({ name }) => needed.includes(name))).toEqual([]);
});

describe('the rows agree with the documented prototypes', () => {
  test('in their names', () => {
    expect(hookTable.map(({ name }) => name)).toEqual(documentedCalls.map(({ name }) => name));
  });

  test('in how many arguments the call has', () => {
    expect(byName(({ argumentCount }) => argumentCount)).toEqual(documented(({ argumentCount }) => argumentCount));
  });

  test('in the arguments through which it stores handles', () => {
    const opened = byName(({ role, opens }) => (role === 'duplicates' ? [3] : opens.map(({ argument }) => argument)));
    expect(opened).toEqual(documented(({ stored }) => stored));
  });

  /** Handles that a hook does not look at; all others that a call takes, it does. */
  const ignored: Readonly<Record<string, readonly number[]>> = {
    // The roles work on them in their own way.
    NtClose: [0],
    NtDuplicateObject: [0, 1, 2],
    NtUnmapViewOfSection: [0],
    NtUnmapViewOfSectionEx: [0],
    // These openings also work on a handle. Their hooks record what they open, and count no misuse of that handle.
    NtCreateWorkerFactory: [3, 4],
    NtCreateSection: [6],
    NtCreateSectionEx: [6],
    NtCreateKeyTransacted: [6],
    NtOpenKeyTransacted: [3],
    NtOpenKeyTransactedEx: [4],
    NtCreateDirectoryObjectEx: [3],
    NtCreateProcess: [3, 5, 6, 7],
    NtCreateProcessEx: [3, 5, 6, 7],
    NtCreateProfile: [1],
    NtCreateProfileEx: [1],
    NtCreateProcessStateChange: [3],
    NtCreateThreadStateChange: [3],
    NtCreateTransaction: [4],
    NtOpenTransaction: [4],
    // The thread after which the search goes on, and a reserve object: both may be left out.
    NtGetNextThread: [1],
    NtSetIoCompletionEx: [1],
    NtQueueApcThreadEx: [1],
    NtQueueApcThreadEx2: [1],
  };

  test('in the arguments that are handles, except for those that the hooks ignore', () => {
    expect(byName(({ name, uses }) => [...uses, ...(ignored[name] ?? [])].toSorted((a, b) => a - b))).toEqual(
      documented(({ handles }) => handles),
    );
  });

  test('in which argument has the attributes of the handle that it opens', () => {
    for (const { name, attributes } of documentedCalls) {
      const row = hookTable.find((each) => each.name === name);
      if (row?.attributes !== undefined) expect([name, attributes]).toEqual([name, [row.attributes]]);
    }
    expect(namesOf(({ attributes }) => attributes !== undefined).length).toBeGreaterThan(30);
  });
});

test('every system call that stores a handle has a row, which knows where', () => {
  // Their PHANDLE is an array of handles that the caller gives.
  const takesArray: readonly string[] = [
    'NtAlertMultipleThreadByThreadId',
    'NtSetCachedSigningLevel',
    'NtSetCachedSigningLevel2',
  ];
  const rows = new Map(hookTable.map((row) => [row.name, row]));
  const known = handleStoringCalls.map(({ name }) => {
    const row = rows.get(name);
    if (row === undefined) return { name };
    const stored = row.role === 'duplicates' ? [3] : row.opens.map(({ argument }) => argument);
    return { name, argumentCount: row.argumentCount, stored };
  });
  expect(known.filter(({ name }) => !takesArray.includes(name))).toEqual(
    handleStoringCalls.filter(({ name }) => !takesArray.includes(name)),
  );
  expect(handleStoringCalls.length).toBeGreaterThan(90);
});

test('no call has a row that the stack walk or the agent itself makes', () => {
  // The unwinder's locks wait by thread id, and it reads memory: a hook that walks the stack there waits for itself.
  const forbidden = /^Nt(?:ProtectVirtualMemory|AllocateVirtualMemory|QueryVirtualMemory|WaitForAlertByThreadId)$/;
  expect(namesOf(({ name }) => forbidden.test(name))).toEqual([]);
});

test('a handle in a structure lies where a pointer may lie', () => {
  const handles = hookTable.flatMap(({ fills }) => fills?.handles ?? []);
  expect(handles.length).toBeGreaterThan(0);
  expect(handles.filter(({ offset }) => offset < 0 || offset % 8 !== 0)).toEqual([]);
  expect(namesOf(({ role, fills }) => (role === 'opens-within') !== (fills !== undefined))).toEqual([]);
});

test('OBJECT_ATTRIBUTES are the third argument of a call that opens one handle through its first', () => {
  // The hook that reads them has no place for others.
  const wrong = namesOf(
    ({ attributes, opens }) =>
      attributes !== undefined && (attributes !== 2 || opens.length !== 1 || opens[0]?.argument !== 0),
  );
  expect(wrong).toEqual([]);
});

test('no row names an argument that its call does not have, or one twice', () => {
  const wrong = namesOf(({ argumentCount, opens, uses, attributes = 0 }) => {
    const named = [...opens.map(({ argument }) => argument), ...uses];
    return [...named, attributes].some((each) => each >= argumentCount) || new Set(named).size !== named.length;
  });
  expect(wrong).toEqual([]);
});

test('no row needs more than the frame of its hook has', () => {
  const wrong = namesOf(
    ({ argumentCount, role, opens, uses }) =>
      argumentCount > HOOK_ARGUMENT_COUNT_MAX ||
      uses.length > usedHandles.length ||
      // The second receiver shares its place with what a shared body keeps.
      opens.length > (role === 'opens' ? 1 : receivers.length),
  );
  expect(wrong).toEqual([]);
});

test('a row opens something if its role opens', () => {
  const openers: readonly string[] = ['opens', 'opens-file', 'creates-process'];
  expect(namesOf(({ role, opens }) => openers.includes(role) !== opens.length > 0)).toEqual([]);
});

test.each([
  ['opens-file', ['NtCreateFile', 'NtOpenFile']],
  ['opens-within', ['NtWaitForDebugEvent', 'NtQueryInformationProcess', 'NtQueryInformationToken']],
  ['creates-process', ['NtCreateUserProcess']],
  ['closes', ['NtClose']],
  ['duplicates', ['NtDuplicateObject']],
  ['waits', ['NtWaitForSingleObject']],
  ['waits-many', ['NtWaitForMultipleObjects', 'NtWaitForMultipleObjects32']],
  ['controls-device', ['NtDeviceIoControlFile']],
  ['sets-object', ['NtSetInformationObject']],
  ['exits', ['NtTerminateProcess']],
  ['raises', ['NtRaiseException']],
  ['maps', ['NtMapViewOfSection', 'NtMapViewOfSectionEx']],
  ['unmaps', ['NtUnmapViewOfSection', 'NtUnmapViewOfSectionEx']],
] as const)('only the calls that it was written for have the role %s', (role, names) => {
  expect(namesOf((row) => row.role === role)).toEqual(names);
});

/** The types of Windows 11 that a system call of the table opens: the names in its directory \ObjectTypes. */
const kernelTypes: ReadonlySet<string> = new Set(
  `ALPC Port|ActivityReference|CpuPartition|CrossVmEvent|CrossVmMutant|DebugObject|Directory|Event|File|IRTimer|IoCompletion|IoRing|Job|Key|KeyedEvent|Mutant
  |Partition|Process|ProcessStateChange|Profile|RegistryTransaction|Section|Semaphore|Session|SymbolicLink|Thread
  |ThreadStateChange|Timer|TmEn|TmRm|TmTm|TmTx|Token|TpWorkerFactory|UserApcReserve|WaitCompletionPacket`
    .split('|')
    .map((name) => name.trim()),
);

test('a system call opens objects of a type that the kernel has', () => {
  const wrong = namesOf(({ opens }) => opens.some(({ type }) => !kernelTypes.has(type)));
  // Event pairs: later Windows has none [?].
  expect(wrong).toEqual(['NtCreateEventPair', 'NtOpenEventPair']);
});

test('a type is known by one index, and 0 means that the type is not known', () => {
  expect(objectTypes[0]).toBe('Unknown');
  expect(new Set(objectTypes).size).toBe(objectTypes.length);
  expect(objectTypes.length, 'an index has 16 bits in a slot').toBeLessThan(0x1_0000);
});

describe('in the function table', () => {
  const namesOfFunctions = (isSo: (row: (typeof functionTable)[number]) => boolean) =>
    functionTable.filter(isSo).map(({ module, name }) => `${module}!${name}`);

  test('no row needs more arguments than the frame of its hook has', () => {
    const wrong = namesOfFunctions(
      ({ kind, argumentCount }) =>
        argumentCount > (kind === 'socket' ? HOOK_ARGUMENT_COUNT_MAX : 4 + STACK_ARGUMENT_COUNT_MAX),
    );
    expect(wrong).toEqual([]);
  });

  test('no row names an argument that its function does not have', () => {
    const wrong = namesOfFunctions((row) => {
      if (row.kind === 'socket') return row.argumentCount < 1;
      if (row.kind === 'sweep') return row.argumentCount > 0;
      if (row.kind === 'fast-fail') return row.argumentCount < 1;
      if (row.kind === 'request') return row.callbackArgument >= row.argumentCount;
      const { opens, closes, uses, argumentCount } = row;
      const named = [closes?.argument, uses?.argument, opens?.from === 'result' ? undefined : opens?.argument];
      return named.some((argument) => argument !== undefined && argument >= argumentCount);
    });
    expect(wrong).toEqual([]);
  });

  test('every row has an effect', () => {
    const wrong = namesOfFunctions(
      (row) => row.kind === 'runtime-object' && [row.opens, row.closes, row.uses].every((each) => each === undefined),
    );
    expect(wrong).toEqual([]);
  });

  test('what is opened is known only by a result that says whether the call failed', () => {
    const wrong = namesOfFunctions(
      (row) => row.kind === 'runtime-object' && row.opens !== undefined && row.failure === 'never',
    );
    expect(wrong).toEqual([]);
  });
});
