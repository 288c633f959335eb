import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { OpenProcess } from '../../../src/ffi/kernel32.ts';
import { HandleDescriber, type HandleDescription } from '../../../src/handles/describe.ts';
import { HandleTable } from '../../../src/handles/enumerate.ts';
import { HandleOrNull, liveOwners, type OwnedHandle } from '../../../src/io/index.ts';
import { Holder } from './holder.ts';

const PROCESS_DUP_HANDLE = 0x40;
const PROCESS_QUERY_INFORMATION = 0x400;

let holder: Holder;
let target: OwnedHandle;
beforeAll(async () => {
  holder = await Holder.start();
  const raw = OpenProcess(PROCESS_DUP_HANDLE | PROCESS_QUERY_INFORMATION, false, holder.processId);
  target = HandleOrNull.fromRawHandle(raw).expect('open process', String(holder.processId));
}, 60_000);
afterAll(() => {
  target?.[Symbol.dispose]();
  holder?.[Symbol.dispose]();
});

it('the handle table of a process has every handle that the process says it opened, with type, access and attributes', () => {
  const table = HandleTable.readProcess(target, holder.processId);
  const byValue = new Map(Array.from({ length: table.count }, (_, i) => [table.valueAt(i), table.entryAt(i)]));
  for (const held of holder.held) {
    const entry = byValue.get(BigInt(held.value));
    expect(entry, held.key).toMatchObject({
      processId: holder.processId,
      type: held.type === 'Socket' ? 'File' : held.type,
      inheritable: held.inheritable ?? entry?.inheritable,
      protectFromClose: held.protectFromClose ?? false,
      access: held.access ?? entry?.access,
    });
  }
});

describe.each([
  ['in this process', false],
  ['in the helper process', true],
])('looked at %s', (_, filesInHelper) => {
  let descriptions: ReadonlyMap<string, HandleDescription>;
  beforeAll(async () => {
    using describer = new HandleDescriber({ filesInHelper });
    const handles = holder.held.map(({ value, type }) => {
      return { processId: holder.processId, value: BigInt(value), type: type === 'Socket' ? 'File' : type };
    });
    const result = await describer.describe(target, handles);
    descriptions = new Map(result.map((description, i) => [holder.held[i]!.key, description]));
  });

  it('every object is what the process says it is', () => {
    for (const held of holder.held) {
      const description = descriptions.get(held.key)!;
      expect(description, held.key).not.toHaveProperty('nameProblem');
      expect(description.object.type, held.key).toBe(held.type);
      if (held.socket) expect(description.object.socket, held.key).toEqual(held.socket);
      if (held.name === undefined && held.processId === undefined && held.threadId === undefined) {
        expect(description.object.name, held.key).toBeUndefined();
      } else if (held.name !== undefined) {
        expect(description.object.name?.slice(-held.name.length).toLowerCase(), held.key).toBe(held.name.toLowerCase());
      }
      for (const fact of ['ended', 'exitCode', 'processId', 'threadId'] as const) {
        if (held[fact] !== undefined) expect(description[fact], `${held.key}: ${fact}`).toBe(held[fact]);
      }
    }
  });

  it('files, keys and pipes have nothing before the name that a person would type', () => {
    for (const held of holder.held) {
      if (held.name === undefined || !['File', 'Key'].includes(held.type)) continue;
      expect(descriptions.get(held.key)!.object.name?.toLowerCase(), held.key).toBe(held.name.toLowerCase());
    }
  });
});

it('a handle that is not there is described by its type and the reason', async () => {
  using describer = new HandleDescriber();
  const [event, file] = await describer.describe(target, [
    { processId: holder.processId, value: 0xff_fff0n, type: 'Event' },
    { processId: holder.processId, value: 0xff_fff0n, type: 'Process' },
  ]);
  expect(event).toEqual({ object: { type: 'Event' }, nameProblem: 'DuplicateHandle: ERROR_INVALID_HANDLE 6' });
  expect(file).toEqual({ object: { type: 'Process' } });
});

it('describing leaves no handle of this process open', async () => {
  const before = liveOwners().length;
  {
    using describer = new HandleDescriber();
    await describer.describe(
      target,
      holder.held.map(({ value, type }) => ({ processId: holder.processId, value: BigInt(value), type })),
    );
  }
  expect(liveOwners()).toHaveLength(before);
});
