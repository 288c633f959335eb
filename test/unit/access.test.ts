import { expect, it } from 'vitest';

import { decodeAccess } from '../../src/handles/access.ts';

it.each([
  ['File', 0x100001, 'FILE_READ_DATA|SYNCHRONIZE'],
  ['File', 0x120089, 'FILE_GENERIC_READ'],
  ['File', 0x12019f, 'FILE_GENERIC_READ|FILE_GENERIC_WRITE'],
  ['File', 0x1f01ff, 'FILE_ALL_ACCESS'],
  ['File', 0x12008b, 'FILE_READ_DATA|FILE_WRITE_DATA|FILE_READ_EA|FILE_READ_ATTRIBUTES|READ_CONTROL|SYNCHRONIZE'],
  ['Socket', 0x12019f, 'FILE_GENERIC_READ|FILE_GENERIC_WRITE'],
  ['Key', 0x20019, 'KEY_READ'],
  ['Key', 0xf003f, 'KEY_ALL_ACCESS'],
  ['Key', 0x20119, 'KEY_QUERY_VALUE|KEY_ENUMERATE_SUB_KEYS|KEY_NOTIFY|KEY_WOW64_64KEY|READ_CONTROL'],
  ['Event', 0x1f0003, 'EVENT_ALL_ACCESS'],
  ['Event', 0x100002, 'EVENT_MODIFY_STATE|SYNCHRONIZE'],
  ['Process', 0x1fffff, 'PROCESS_ALL_ACCESS'],
  ['Process', 0x1000, 'PROCESS_QUERY_LIMITED_INFORMATION'],
  ['Thread', 0x1f03ff, 'THREAD_ALL_ACCESS'],
  ['Section', 0xf0007, 'SECTION_QUERY|SECTION_MAP_WRITE|SECTION_MAP_READ|DELETE|READ_CONTROL|WRITE_DAC|WRITE_OWNER'],
  ['Token', 0x8, 'TOKEN_QUERY'],
  ['Semaphore', 0x4001, 'SEMAPHORE_QUERY_STATE|0x4000'],
  ['EtwRegistration', 0x804, '0x804'],
  ['File', 0x80000000 | 0, 'GENERIC_READ'],
  ['File', 0, ''],
])('%s access %i is %s', (type, access, names) => {
  expect(decodeAccess(type, access).join('|')).toBe(names);
});

it('names every single bit of every type, or shows it as a number', () => {
  for (const type of ['File', 'Key', 'Process', 'Thread', 'Token', 'Event', 'Job', 'Section', 'Desktop', 'Unknown']) {
    const seen = new Set<string>();
    for (let bit = 0; bit < 32; bit++) {
      const names = decodeAccess(type, 1 << bit);
      expect(names).toHaveLength(1);
      seen.add(names[0]!);
    }
    expect(seen.size).toBe(32);
  }
});
