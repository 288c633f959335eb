import { describe, expect, it } from 'vitest';

import type { ProcessSummary } from '../../../src/model.ts';
import { table } from '../../../src/report/formats/table.ts';
import { clean } from './sample.ts';

function draw(processes: readonly ProcessSummary[], showAll = false): string {
  const text = table({ ...clean, processes }, { colorLevel: 0, columns: 80, showAll });
  return /^\d+ process(?:es)?:\n(?: {2,}.*\n)*/m.exec(text)?.[0] ?? '';
}

function process(pid: number, parentIndex: number | undefined, image: string, rest: Partial<ProcessSummary> = {}) {
  const parent = parentIndex === undefined ? {} : { parentIndex };
  return { pid, ...parent, image: `C:\\work\\${image}`, exitCode: 0, opens: 10, closes: 10, findings: 0, ...rest };
}

const workers = Array.from({ length: 40 }, (_, index) => process(100 + index, 0, 'worker.exe'));

describe('the processes of a table', () => {
  it('stand below the one that started them', () => {
    expect(
      draw([
        process(4, undefined, 'runner.exe'),
        process(8, 0, 'shell.exe', { exitCode: 1 }),
        process(12, 1, 'worker.exe', { findings: 2, opens: 1234 }),
        process(16, undefined, 'other.exe', { parentPid: 4 }),
      ]),
    ).toBe(`4 processes:
  runner.exe 4: exited with 0, 10 opened
    shell.exe 8: exited with 1, 10 opened
      worker.exe 12: exited with 0, 1,234 opened, 2 findings
  other.exe 16: exited with 0, 10 opened
`);
  });

  it('share a line when they are many, have no children, and came to the same end', () => {
    const parent = process(140, 0, 'worker.exe');
    const child = process(200, 41, 'leaf.exe');
    const failed = process(201, 0, 'worker.exe', { exitCode: 1 });
    const finding = Array.from({ length: 4 }, (_, index) => process(300 + index, 0, 'worker.exe', { findings: 1 }));
    expect(
      draw([process(4, undefined, 'runner.exe'), ...workers, parent, child, failed, ...finding]),
    ).toBe(`48 processes:
  runner.exe 4: exited with 0, 10 opened
    40 processes of worker.exe: exited with 0, 400 opened
    worker.exe 140: exited with 0, 10 opened
      leaf.exe 200: exited with 0, 10 opened
    worker.exe 201: exited with 1, 10 opened
    4 processes of worker.exe: exited with 0, 40 opened, with findings
`);
  });

  it('stand one by one when everything is asked for', () => {
    expect(draw([process(4, undefined, 'runner.exe'), ...workers], true).split('\n')).toHaveLength(43);
  });

  it('stand each below its own parent where an id was used again', () => {
    expect(
      draw([
        process(4, undefined, 'make.exe'),
        process(8, 0, 'cc.exe'),
        process(12, 1, 'as.exe'),
        process(8, 0, 'ld.exe'),
        process(12, 3, 'strip.exe'),
      ]),
    ).toBe(`5 processes:
  make.exe 4: exited with 0, 10 opened
    cc.exe 8: exited with 0, 10 opened
      as.exe 12: exited with 0, 10 opened
    ld.exe 8: exited with 0, 10 opened
      strip.exe 12: exited with 0, 10 opened
`);
  });

  it('are drawn once in a circle, of which no report is made', () => {
    expect(draw([process(4, 1, 'a.exe'), process(8, 0, 'b.exe'), process(8, 2, 'c.exe')])).toBe(`3 processes:
  a.exe 4: exited with 0, 10 opened
    b.exe 8: exited with 0, 10 opened
  c.exe 8: exited with 0, 10 opened
`);
  });
});
