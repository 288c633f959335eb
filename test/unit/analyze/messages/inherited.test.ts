// The effects of a handle that a child keeps, and the names of those that a program inherited.
import { describe, expect, it } from 'vitest';

import { analyze } from '../../../../src/analyze/index.ts';
import type { Evidence, Inheritance, KeptHandle } from '../../../../src/evidence-model.ts';
import type { HandleObject } from '../../../../src/model.ts';
import { onlyFinding } from '../calls.ts';
import { called, mainBottom } from '../evidence.ts';

const openings: Readonly<Record<string, string>> = {
  File: 'kernelbase!CreateFileW',
  Socket: 'ws2_32!socket',
  Process: 'kernelbase!OpenProcess',
  Mutant: 'kernelbase!CreateMutexW',
  Event: 'kernelbase!CreateEventW',
  Semaphore: 'kernelbase!CreateSemaphoreW',
  Section: 'kernelbase!CreateFileMappingW',
  Key: 'kernelbase!RegOpenKeyExW',
  Timer: 'kernelbase!CreateWaitableTimerW',
};
const started = called('NtCreateUserProcess', 'kernelbase!CreateProcessW', 'app!start @s.c:3', ...mainBottom);
const closed = called('NtClose', 'kernelbase!CloseHandle', 'app!finish @f.c:5', ...mainBottom);

function inherit(object: HandleObject, parts: Partial<Inheritance> = {}): Partial<Evidence> {
  const opened = called('NtOpen', openings[object.type]!, 'app!open_it @o.c:7', ...mainBottom);
  return { inheritedByChildren: [{ count: 1, handles: [{ value: 0x40n, object }], opened, started, ...parts }] };
}

const keep = (object: HandleObject, parts: Partial<KeptHandle> = {}): KeptHandle => ({
  value: 0x40n,
  object,
  child: { pid: 48, image: 'C:\\worker.exe' },
  closed,
  keptMs: 3200,
  untilEnd: true,
  ...parts,
});

describe('a handle that a child kept', () => {
  it.each<[object: HandleObject, effect: string]>([
    [{ type: 'File' }, 'the file cannot be deleted, nor opened by who shares it with no other'],
    [{ type: 'File', name: '\\\\.\\pipe\\jobs' }, 'who reads from the other end of the pipe waits for its end'],
    [{ type: 'Socket', socket: { local: '0.0.0.0:80' } }, 'the port stays bound, or the connection open'],
    [{ type: 'File', socket: { local: '0.0.0.0:80' } }, 'the port stays bound, or the connection open'],
    [{ type: 'Process' }, 'its process id cannot be used again'],
    [{ type: 'Mutant' }, 'its name stays taken'],
    [{ type: 'Event' }, 'its name stays taken'],
    [{ type: 'Semaphore' }, 'its name stays taken'],
    [{ type: 'Section' }, 'its memory and its file stay in use'],
    [{ type: 'Key' }, 'the key cannot be deleted'],
    [{ type: 'Timer' }, 'the object lives on'],
  ])('has an effect: %j, %s', (object, effect) => {
    const { message } = onlyFinding(inherit(object, { kept: [keep(object)] }));
    expect(message).toMatch(
      ` started. The program closed its own at finish (f.c:5), but process 48 (worker.exe) kept it open until it ended, for 3.2 s: meanwhile ${effect}.`,
    );
  });

  it('was kept by others likewise, each of which counts once', () => {
    const object = { type: 'Key' };
    const [first, second, third] = [50, 52, 50].map((pid) => ({ pid, image: 'C:\\worker.exe' }));
    // The third one has got the id of the first.
    const others = [first!, first!, second!, third!].map((child) => keep(object, { keptMs: 9, child }));
    const { message } = onlyFinding(inherit(object, { kept: [keep(object), ...others] }));
    expect(message).toMatch(/process 48 .* the key cannot be deleted\. 3 more did likewise\.$/);
  });
});

describe('a function of a C runtime that starts a child', () => {
  const passOn = (api: string) =>
    analyze({
      open: [],
      misuses: [],
      ...inherit(
        { type: 'File' },
        {
          asDescriptor: true,
          started: called('NtCreateUserProcess', `msvcrt!${api}`, 'app!start @s.c:3', ...mainBottom),
        },
      ),
    });

  it.each(['system', '_wsystem', '_popen', '_wpopen', '_spawnl', '_wspawnvpe', '_execl', '_wexecve'])(
    'passes on all descriptors: %s',
    (api) => {
      expect(passOn(api)).toHaveLength(1);
    },
  );

  it.each(['my_system', 'systems', 'popen_all', 'spawn', 'reexec'])('is not every function: %s', (api) => {
    expect(passOn(api)).toEqual([]);
  });
});

describe('handles that the program inherited', () => {
  const files = (...names: readonly (string | undefined)[]): Partial<Evidence> => ({
    inherited: names.map((name, index) => ({
      value: BigInt(0x40 + 4 * index),
      object: { type: 'File', ...(name === undefined ? {} : { name }) },
      access: 1,
      inheritable: true,
      protectFromClose: false,
    })),
  });

  it.each<[message: string, names: readonly (string | undefined)[]]>([
    ['One File handle was', [undefined]],
    ['One File handle (a) was', ['a']],
    ['4 File handles (a, b, c) were', ['a', 'b', 'a', 'c']],
    ['5 File handles (a, b, c and 2 more) were', ['a', 'b', 'c', 'd', 'e']],
  ])('%s inherited', (message, names) => {
    const objects = names.length === 1 ? 'its object' : 'their objects';
    expect(onlyFinding(files(...names)).message).toBe(
      `${message} inherited from the process that started the program, which keeps ${objects} open unasked.`,
    );
  });
});
