import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { describe, expect, it } from 'vitest';

import type { RecordingOptions } from '../../src/audit/index.ts';
import { CreateEventW, DuplicateHandle } from '../../src/ffi/kernel32.ts';
import { CURRENT_PROCESS, HandleOrNull, unsafeRawHandle } from '../../src/io/index.ts';
import { openProcess } from '../../src/process/processes.ts';
import { fixturePath, type JsonReport } from './tool.ts';
import { useAuditor } from './warm-auditor.ts';

const audit = useAuditor();

const PROCESS_DUP_HANDLE = 0x40;
const DUPLICATE_CLOSE_SOURCE = 1;
const DUPLICATE_SAME_ACCESS = 2;

/** Audits a program that holds one event, and lets another process, this one, do something to its handles. */
async function auditDisturbed(
  disturb: (processId: number, event: bigint) => void,
  recording: RecordingOptions,
): Promise<JsonReport> {
  const directory = mkdtempSync(join(tmpdir(), 'unclosed-outside-'));
  const file = join(directory, 'end');
  let isDisturbed = false;
  try {
    const { report } = await audit({ program: fixturePath('waits-for-file'), args: [file], recording }, (output) => {
      const [, processId, event] = /^ready (\d+) (0x[0-9a-f]+)\r?$/m.exec(output) ?? [];
      if (isDisturbed || processId === undefined || event === undefined) return;
      isDisturbed = true;
      disturb(Number(processId), BigInt(event));
      writeFileSync(file, '');
    });
    return report;
  } finally {
    rmSync(directory, { recursive: true });
  }
}

const serious = ({ findings }: JsonReport): string[] =>
  findings.filter(({ level }) => level !== 'note').map(({ rule, object }) => `${rule} ${object.type}`);

describe('the system', () => {
  it.each(['does-nothing', 'opens-desktop'])('gives %s handles of its own, which are no news', async (program) => {
    const { report } = await audit({ program: fixturePath(program) });
    expect(serious(report)).toEqual([]);
    expect(report.completeness).toMatchObject({ complete: true, notes: [] });
  });
});

describe('another process', () => {
  it.each([{}, { quarantine: 1024 }])(
    'that puts three handles into the program does not make it leak them %j',
    async (recording) => {
      const report = await auditDisturbed((processId) => {
        using target = openProcess(processId, PROCESS_DUP_HANDLE, 'the target');
        using event = HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create', 'an event');
        for (let count = 0; count < 3; count++) {
          const copy = new BigUint64Array(1);
          expect(
            DuplicateHandle(
              CURRENT_PROCESS,
              event.asRawHandle(),
              target.asRawHandle(),
              copy,
              0,
              false,
              DUPLICATE_SAME_ACCESS,
            ),
          ).toBe(true);
        }
      }, recording);
      expect(serious(report)).toEqual(['leak Event']);
      expect(report.findings.find(({ rule, level }) => rule === 'leak' && level !== 'note')?.count).toBe(1);
      expect(report.completeness.notes.join('\n')).toMatch(
        /^3 open handles came from another process, or from calls that were not recorded: they are in no finding\.$/m,
      );
    },
  );

  it.each([{}, { quarantine: 1024 }])(
    'that closes a handle of the program leaves none to be reported %j',
    async (recording) => {
      const report = await auditDisturbed((processId, event) => {
        using target = openProcess(processId, PROCESS_DUP_HANDLE, 'the target');
        const copy = new BigUint64Array(1);
        expect(
          DuplicateHandle(
            target.asRawHandle(),
            unsafeRawHandle(event),
            CURRENT_PROCESS,
            copy,
            0,
            false,
            DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS,
          ),
        ).toBe(true);
        using _taken = HandleOrNull.fromRawHandle(unsafeRawHandle(copy[0]!)).tryIntoOwned();
      }, recording);
      expect(serious(report)).toEqual([]);
    },
  );
});
