import { type Attributes, type Instrument, instruments, type Metric, type Point } from './metric.ts';
import { toLabel } from './label.ts';
import type { SiteCount } from './site-choice.ts';

/** A process that is counted. */
interface CountedProcess {
  readonly pid: number;
  /** The program, by its name or path, as the system has it. */
  readonly image: string;
}

/** The metrics of a kernel handle table: counts by type. */
export function describeTable(
  process: CountedProcess,
  types: ReadonlyMap<string, number>,
  gui?: { readonly gdi: number; readonly user: number },
): readonly Metric[] {
  const of = attributesOf(process);
  const sum = [...types.values()].reduce((total, count) => total + count, 0);
  return [
    metric(instruments.handleCount, [{ attributes: of, value: sum }]),
    metric(
      instruments.handlesOpen,
      Array.from(types, ([type, value]) => ({ attributes: { ...of, type: toLabel(type) }, value })),
    ),
    ...(gui === undefined
      ? []
      : [
          metric(instruments.guiObjects, [
            { attributes: { ...of, type: 'GDI' }, value: gui.gdi },
            { attributes: { ...of, type: 'USER' }, value: gui.user },
          ]),
        ]),
  ];
}

/** The metrics of a recording: counts by type and site. */
export function describeRecording(
  process: CountedProcess,
  { opens, closes }: { readonly opens: number; readonly closes: number },
  sites: readonly SiteCount[],
): readonly Metric[] {
  const of = attributesOf(process);
  return [
    metric(
      instruments.recordedOpen,
      sites.map(({ type, site, count }) => ({ attributes: { ...of, type, site }, value: count })),
    ),
    metric(instruments.opened, [{ attributes: of, value: opens }]),
    metric(instruments.closed, [{ attributes: of, value: closes }]),
  ];
}

function attributesOf({ pid, image }: CountedProcess): Attributes {
  return { pid, process: toLabel(image.slice(Math.max(image.lastIndexOf('\\'), image.lastIndexOf('/')) + 1)) };
}

function metric(instrument: Instrument, points: readonly Point[]): Metric {
  return { instrument, points };
}
