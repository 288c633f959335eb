import { expect, it } from 'vitest';

import { CreateEventW } from '../../../src/ffi/kernel32.ts';
import { countHandles, HandleTable } from '../../../src/handles/enumerate.ts';
import { decodeObjectTypes, objectTypes } from '../../../src/handles/types.ts';
import { BorrowedHandle, CURRENT_PROCESS, HandleOrNull } from '../../../src/io/index.ts';

const self = BorrowedHandle.borrowRaw(CURRENT_PROCESS);

function valuesOf(table: HandleTable): Set<bigint> {
  return new Set(Array.from({ length: table.count }, (_, i) => table.valueAt(i)));
}

it('shows exactly the handles that were opened and closed in between', () => {
  HandleTable.readProcess(self, process.pid).countByType(); // whatever the first reading opens for good
  const before = HandleTable.readProcess(self, process.pid);
  const events = Array.from({ length: 5_000 }, () =>
    HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create an event', ''),
  );
  const raws = events.map((event) => event.asRawHandle() as bigint);
  const during = HandleTable.readProcess(self, process.pid);
  for (const event of events) event.close();
  const after = HandleTable.readProcess(self, process.pid);

  const opened = valuesOf(during);
  for (const value of valuesOf(before)) opened.delete(value);
  expect([...opened].sort()).toEqual([...raws].sort());
  expect(during.count).toBe(before.count + 5_000);
  expect(during.countByType().get('Event')! - before.countByType().get('Event')!).toBe(5_000);
  expect(after.count).toBe(before.count);
});

it('the table of the system has the handles of this process, and counts them as it lists them', () => {
  const system = HandleTable.readSystem();
  const ours = system.ofProcess(process.pid);
  expect(ours.count).toBeGreaterThan(10);
  expect(system.countByProcess().get(process.pid)).toBe(ours.count);
  expect(ours.ofProcess(process.pid).count).toBe(ours.count);
  expect(ours.ofProcess(0x7fff_fff0).count).toBe(0);
  expect([...system.countByType().values()].reduce((sum, count) => sum + count, 0)).toBe(system.count);
});

it('counts the handles of a process as many as it lists', () => {
  expect(countHandles(self, process.pid)).toBe(HandleTable.readProcess(self, process.pid).count);
});

it('knows the type of every handle of this process', () => {
  const names = new Set(objectTypes().map((type) => type.name));
  expect(names).toContain('Event');
  for (const type of HandleTable.readProcess(self, process.pid).countByType().keys()) expect(names).toContain(type);
});

it('refuses an index that is not in the table', () => {
  const table = HandleTable.readProcess(self, process.pid);
  for (const index of [-1, table.count, 2 ** 31, NaN, 0.5 + table.count]) {
    expect(() => table.valueAt(index)).toThrow(RangeError);
  }
});

it('a type table that ends anywhere or holds anything gives types or none, and never throws', () => {
  const table = Buffer.alloc(400);
  table.writeUInt32LE(2, 0);
  for (const [at, name] of [
    [8, 'Event'],
    [8 + 104 + 16, 'Key'],
  ] as const) {
    table.writeUInt16LE(name.length * 2, at);
    table.writeUInt16LE(name.length * 2 + 2, at + 2);
    table.writeUInt8(at, at + 90);
    table.write(name, at + 104, 'utf16le');
  }
  expect(decodeObjectTypes(table).map((type) => type.name)).toEqual(['Event', 'Key']);
  for (let size = 4; size <= table.length; size++) {
    expect(decodeObjectTypes(table.subarray(0, size)).length).toBeLessThanOrEqual(2);
  }
  let seed = 1;
  for (let round = 0; round < 500; round++) {
    const noise = Buffer.from(table).map(() => (seed = (seed * 48_271) % 2_147_483_647) & 0xff);
    expect(() => decodeObjectTypes(Buffer.from(noise))).not.toThrow();
  }
});
