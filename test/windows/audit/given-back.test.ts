import { describe, expect, it } from 'vitest';

import { AuditorEvents } from '../../../src/agent/inject/auditor-events.ts';
import { ExitGate } from '../../../src/agent/inject/gate/exit-gate.ts';
import { Recording } from '../../../src/agent/inject/recording.ts';
import { attach } from '../../../src/audit/index.ts';
import { CreateEventW, CreateMutexW } from '../../../src/ffi/kernel32.ts';
import { HandleTable } from '../../../src/handles/enumerate.ts';
import { BorrowedHandle, CURRENT_PROCESS, HandleOrNull, type OwnedHandle } from '../../../src/io/index.ts';
import { findProcess } from '../../../src/process/processes.ts';
import { Target } from '../target.ts';

/** An object of the other type has the name: no event or mutant of that name can be made, nor opened. */
const occupy = {
  asEvent: (name: string): OwnedHandle =>
    HandleOrNull.fromRawHandle(CreateEventW(null, true, false, name)).expect('', name),
  asMutant: (name: string): OwnedHandle => HandleOrNull.fromRawHandle(CreateMutexW(null, false, name)).expect('', name),
};

function countOwn(type: string): number {
  const own = BorrowedHandle.borrowRaw(CURRENT_PROCESS);
  return HandleTable.readProcess(own, process.pid).countByType().get(type) ?? 0;
}

describe('what was taken before a failure is given back', () => {
  const name = `unclosed-given-back-${process.pid}`;

  it.each([
    {
      what: 'the exit gate',
      taken: 'Mutant',
      occupied: () => occupy.asEvent(`${name}-threads-seen`),
      make: () => new ExitGate(name),
    },
    {
      what: 'the events of an auditor',
      taken: 'Event',
      occupied: () => occupy.asMutant(`${name}-child`),
      make: () => new AuditorEvents({ followsChildren: true }, name),
    },
  ])('by $what', ({ taken, occupied, make }) => {
    using _occupied = occupied();
    const before = countOwn(taken);
    expect(make).toThrow('ERROR_INVALID_HANDLE');
    expect(countOwn(taken)).toBe(before);
  });

  it('by a recording', async () => {
    (await Recording.prepare())[Symbol.dispose](); // what is loaded only once is there
    const events = new AuditorEvents({ followsChildren: false });
    Object.defineProperty(events, 'arrivedName', {
      get: () => {
        throw new Error('no name');
      },
    });
    using _events = events;
    const count = (): readonly number[] => ['Mutant', 'Section'].map(countOwn);
    const before = count();
    await expect(Recording.prepare({}, events)).rejects.toThrow('no name');
    expect(count()).toEqual(before);
  });

  it('by an attach to a process that cannot be claimed', async () => {
    using target = await Target.start('works-without-pause', '1');
    using _occupied = occupy.asEvent(`Global\\unclosed-audit-of-${target.processId}`);
    const before = countOwn('Process');
    const attaching = attach({ processes: [findProcess(String(target.processId))], forMs: 100 });
    await expect(attaching).rejects.toThrow(`Cannot claim process ${target.processId}: `);
    expect(countOwn('Process')).toBe(before);
  });
});
