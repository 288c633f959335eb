import { describe, expect, it } from 'vitest';
import type { Report } from '../../../src/model.ts';
import { table } from '../../../src/report/formats/table.ts';
import type { ReportOptions } from '../../../src/report/reporter.ts';
import { textWidth } from '../../../src/report/text-width.ts';
import { everything } from './formats/everything.ts';
import { makeHostile, randomNumbers } from './hostile.ts';

const plain: ReportOptions = { colorLevel: 0, columns: 80, showAll: true, baseDirectory: 'C:\\repo' };
const stale: Report = { ...everything, findings: everything.findings.filter(({ history }) => history !== undefined) };

function historyIn(report: Report, options: Partial<ReportOptions> = {}): string {
  const [, after = ''] = table(report, { ...plain, ...options }).split('  the life of ');
  return after.split('\n\n')[0]!;
}

describe('the life of a value in the table report', () => {
  it('has a line for each call with its thread and time, and one for its stack', () => {
    expect(historyIn(stale)).toMatchInlineSnapshot(`
      "0x1a4
          1  opened as a File handle  thread 36, 1.3 ms
               open_log (log file.c:4) ← rotate (rotate.c:30) ← run (run.c:7) ← main …
             closed  thread 36, 2.5 ms
               rotate (rotate.c:30) ← main (main.c:61)
          2  given out again as an Event handle
               open_log (log file.c:4) ← rotate (rotate.c:30) ← run (run.c:7) ← main …
             probably closed by the code that had closed life 1  thread 40, 3.0 ms
               rotate (rotate.c:30) ← main (main.c:61)
             refused  thread 36, 4.0 ms
               finish (rotate.c:44) ← main (main.c:61)"
    `);
  });

  it('has the last calls alone where findings are shown briefly', () => {
    const [finding] = stale.findings;
    const many = Array.from({ length: 8 }, (_, index) => ({
      ...finding!,
      count: index + 1,
      message: `Gate ${index}.`,
    }));
    const text = historyIn({ ...stale, findings: many }, { showAll: false });
    expect(text).toContain('refused');
    expect(text).not.toContain('1  opened');
  });

  it('stays within the columns, whatever the target is called', () => {
    for (let seed = 1; seed <= 40; seed += 1) {
      const random = randomNumbers(seed);
      const columns = 40 + random(100);
      const text = table(makeHostile(stale, random), { ...plain, columns });
      expect(text.replaceAll('\n', '')).not.toMatch(/[\p{C}\p{Zl}\p{Zp}]/u);
      for (const line of text.split('\n'))
        expect.soft(textWidth(line), line).toBeLessThanOrEqual(Math.min(columns, 120));
    }
  });
});
