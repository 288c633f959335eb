import { describe, expect, it } from 'vitest';

import { fixturePath, type JsonReport } from '../tool.ts';
import { useAuditor } from '../warm-auditor.ts';

const auditor = useAuditor();

async function audit(program: string, ...args: readonly string[]): Promise<JsonReport> {
  const { report } = await auditor({ program: fixturePath(program), args });
  return { ...report, findings: report.findings.filter(({ level }) => level !== 'note') };
}

describe('what stands for handles', () => {
  it('finds room however much of it there ever was, as long as most of it is closed', async () => {
    const report = await audit('searches', '1000', '40000');
    expect(report.findings).toEqual([]);
    expect(report.completeness).toMatchObject({ complete: true });
  });

  it.each(['', '-ucrt'])(
    'may be closed in a loop: no number is meant as that of a handle, closes-descriptors-in-loop%s',
    async (flavour) => {
      const report = await audit(`closes-descriptors-in-loop${flavour}`);
      expect(report.findings).toEqual([]);
      expect(report.completeness).toMatchObject({ complete: true });
    },
  );

  it.each(['', '-ucrt'])('may be older than the program, double-closes-standard-descriptor%s', async (flavour) => {
    const { findings } = await audit(`double-closes-standard-descriptor${flavour}`);
    expect(findings).toMatchObject([{ rule: 'double-close', count: 1, object: { type: 'Descriptor' } }]);
  });

  it('makes the report incomplete when too much of it is open at once', async () => {
    const report = await audit('searches', '12000', '12000');
    expect(report.findings).toEqual([]);
    expect(report.completeness.complete).toBe(false);
    expect(report.completeness.notes.join()).toMatch(
      /^\d+ descriptors, streams or searches were not followed: the recorder's room for them was full\.$/,
    );
  });

  it.each(['', '-ucrt'])(
    'is named for each handle that was leaked through the C runtime, leaks-stream%s',
    async (flavour) => {
      const { findings } = await audit(`leaks-stream${flavour}`);
      expect(findings.map(({ object }) => object)).toMatchObject([
        { type: 'File', wrapper: { type: 'FILE', value: expect.stringMatching(/^0x[0-9a-f]+$/), descriptor: 3 } },
      ]);
      expect(findings[0]?.message).toMatch(
        /^One FILE opened at leak_stream \(leaks-stream\.c:\d+\) was left for the runtime to close at exit;/,
      );
    },
  );

  it.each(['', '-ucrt'])(
    'is named where its handle is closed beneath it, closes-handle-of-descriptor%s',
    async (flavour) => {
      const { findings } = await audit(`closes-handle-of-descriptor${flavour}`);
      expect(findings[0]?.message).toMatch(
        / was closed by CloseHandle at close_as_handle \(.*\), beneath descriptor 3: it wants _close\.$/,
      );
    },
  );
});
