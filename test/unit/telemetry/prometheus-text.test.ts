import { describe, expect, it } from 'vitest';

import { describeRecording, describeTable } from '../../../src/telemetry/counts.ts';
import { toLabel } from '../../../src/telemetry/label.ts';
import { writePrometheusText } from '../../../src/telemetry/prometheus-text.ts';

const app = { pid: 42, image: 'C:\\work\\app.exe' };

describe('metrics as Prometheus reads them', () => {
  it('have the counts of a process by type', () => {
    const types = new Map([
      ['File', 3],
      ['Event', 2],
    ]);
    const text = writePrometheusText(describeTable(app, types, { gdi: 7, user: 0 }));
    const rows = text.split('\n').filter((line) => !line.startsWith('#'));
    expect(rows).toEqual([
      'unclosed_process_handles{pid="42",process="app.exe"} 5',
      'unclosed_handles_open{pid="42",process="app.exe",type="File"} 3',
      'unclosed_handles_open{pid="42",process="app.exe",type="Event"} 2',
      'unclosed_gui_objects_open{pid="42",process="app.exe",type="GDI"} 7',
      'unclosed_gui_objects_open{pid="42",process="app.exe",type="USER"} 0',
      '',
    ]);
  });

  it('have a help and a type before the values of each name', () => {
    const text = writePrometheusText(describeRecording(app, { opens: 9, closes: 4 }, []));
    for (const [name, kind] of [
      ['unclosed_recorded_handles_open', 'gauge'],
      ['unclosed_handles_opened_total', 'counter'],
      ['unclosed_handles_closed_total', 'counter'],
    ])
      expect(text).toMatch(new RegExp(`^# HELP ${name} [^\n]+\n# TYPE ${name} ${kind}\n`, 'm'));
    expect(text).toContain('unclosed_handles_opened_total{pid="42",process="app.exe"} 9\n');
  });

  it('have names of a target that cannot end their label or their line', () => {
    const site = toLabel('open"} 1\nevil{x="\u001b[31m\u202e\\');
    const text = writePrometheusText(
      describeRecording(app, { opens: 0, closes: 0 }, [{ type: 'File', site, count: 1 }]),
    );
    const row = text.split('\n').find((line) => line.startsWith('unclosed_recorded_handles_open{'));
    expect(row).toBe(
      'unclosed_recorded_handles_open{pid="42",process="app.exe",type="File",site="open\\"} 1\\\\nevil{x=\\"\\\\x1b[31m\\\\u{202e}\\\\"} 1',
    );
  });

  it('have names of bounded length', () => {
    expect(toLabel('x'.repeat(100_000))).toHaveLength(200);
  });
});
