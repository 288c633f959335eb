import { describe, expect, it } from 'vitest';

import { CreateEventW, SetHandleInformation } from '../../../src/ffi/kernel32.ts';
import { HandleTable } from '../../../src/handles/enumerate.ts';
import { describeInherited, listInherited } from '../../../src/handles/handles-from-parent.ts';
import { createPipe, HandleOrNull, type OwnedHandle, type RawHandle } from '../../../src/io/index.ts';
import { StartedProcess } from '../../../src/process/spawn.ts';
import { fixturePath } from '../tool.ts';

const HANDLE_FLAG_INHERIT = 1;

function inheritable(handle: OwnedHandle): OwnedHandle {
  expect(SetHandleInformation(handle.asRawHandle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT)).toBe(true);
  return handle;
}

function createEvent(name: string): OwnedHandle {
  return HandleOrNull.fromRawHandle(CreateEventW(null, true, false, name)).expect('create event', name);
}

describe('the handles that a process was born with', () => {
  it('are told apart from those that it was meant to have, and have their names', async () => {
    const name = `unclosed-inherited-${process.pid}`;
    using event = inheritable(createEvent(name));
    const { reader, writer } = createPipe();
    using input = inheritable(reader);
    using output = inheritable(writer);
    // The event takes the place of stderr: the parent passes it on, although it was not meant to.
    using child = await StartedProcess.spawn({
      program: fixturePath('sleeps'),
      args: [],
      stdin: input,
      stdout: output,
      stderr: event,
    });
    const table = HandleTable.readProcess(child, child.pid);
    const meant: readonly RawHandle[] = [input.asRawHandle(), output.asRawHandle()];
    const found = await describeInherited(child, child.pid, listInherited(table, meant));
    expect(
      found.map(({ value, object, inheritable: is }) => [value, object.type, object.name?.endsWith(name), is]),
    ).toEqual([[event.asRawHandle(), 'Event', true, true]]);
    expect(listInherited(table, [...meant, event.asRawHandle()])).toEqual([]);
  });

  it('are the streams that were passed on, and no other inheritable handle of the parent', async () => {
    using _stray = inheritable(createEvent(`unclosed-stray-${process.pid}`));
    const { reader, writer } = createPipe();
    using input = inheritable(reader);
    using output = inheritable(writer);
    using child = await StartedProcess.spawn({
      program: fixturePath('sleeps'),
      args: [],
      stdin: input,
      stdout: output,
      stderr: output,
    });
    const table = HandleTable.readProcess(child, child.pid);
    expect(
      listInherited(table, [])
        .map(({ value }) => value)
        .toSorted(),
    ).toEqual([input, output].map((each) => each.asRawHandle()).toSorted());
    expect(listInherited(table, [input.asRawHandle(), output.asRawHandle()])).toEqual([]);
  });
});
