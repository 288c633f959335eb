import { describe, expect, it } from 'vitest';
import type { Level, Rule } from '../../../src/model.ts';
import type { Misuse } from '../../../src/evidence-model.ts';
import { closedAgain, onlyFinding, used } from './calls.ts';
import { called, mainBottom, misuse } from './evidence.ts';

describe('a call with a value that was never open', () => {
  it.each<{ title: string; record: Misuse; rule: Rule; level: Level; message: string }>([
    {
      title: 'a close of garbage',
      record: misuse({ offending: closedAgain, values: [0xdeadbeefn] }),
      rule: 'invalid-close',
      level: 'warning',
      message: 'CloseHandle at main (app.c:9) was given 0xdeadbeef, which was never an open handle.',
    },
    {
      title: 'a close of NULL',
      record: misuse({ offending: closedAgain, values: [0n] }),
      rule: 'invalid-close',
      level: 'note',
      message: 'CloseHandle at main (app.c:9) was given NULL, which was never an open handle.',
    },
    {
      title: 'a close of -1, read as unsigned',
      record: misuse({ offending: closedAgain, values: [0xffff_ffff_ffff_ffffn], count: 2 }),
      rule: 'invalid-close',
      level: 'note',
      message:
        'CloseHandle at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle, 2 times.',
    },
    {
      title: 'a close of -1, read as signed',
      record: misuse({ offending: closedAgain, values: [-1n] }),
      rule: 'invalid-close',
      level: 'note',
      message: 'CloseHandle at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle.',
    },
    {
      title: 'a close of -1 that was cut to 32 bits',
      record: misuse({ offending: closedAgain, values: [0xffff_ffffn] }),
      rule: 'invalid-close',
      level: 'warning',
      message: 'CloseHandle at main (app.c:9) was given 0xffffffff, which was never an open handle.',
    },
    {
      title: 'a use of garbage',
      record: misuse({ kind: 'use', offending: used, values: [0x5550n, 0x5554n] }),
      rule: 'invalid-use',
      level: 'warning',
      message: 'SetEvent at main (app.c:9) was given 0x5550 and 0x5554, none of which was ever an open handle.',
    },
    {
      title: 'asking what garbage is',
      record: misuse({
        kind: 'use',
        offending: called('NtQueryVolumeInformationFile', 'kernelbase!GetFileType', ...mainBottom),
        values: [0x5550n],
      }),
      rule: 'invalid-use',
      level: 'note',
      message: 'GetFileType at main (app.c:9) was given 0x5550, which was never an open handle.',
    },
    {
      title: 'a pseudo handle refused for its type',
      record: misuse({
        kind: 'use',
        status: 0xc0000024,
        offending: called('NtReadFile', 'kernelbase!ReadFile', ...mainBottom),
        values: [-1n],
      }),
      rule: 'invalid-use',
      level: 'note',
      message: 'ReadFile at main (app.c:9) was given INVALID_HANDLE_VALUE (-1), which was never an open handle.',
    },
    {
      title: 'a close that the system made for itself',
      record: misuse({
        offending: called('NtClose', 'kernelbase!CreateProcessInternalW', 'kernelbase!CreateProcessW', ...mainBottom),
        values: [0x9990n],
      }),
      rule: 'invalid-close',
      level: 'note',
      message:
        'NtClose, made by kernelbase!CreateProcessW for itself (called at main (app.c:9)) was given 0x9990, which was never an open handle.',
    },
  ])('$title: $rule, $level', ({ record, rule, level, message }) => {
    expect(onlyFinding({ misuses: [record] })).toMatchObject({ rule, level, message, count: record.count });
  });
});
