import { html } from './formats/html.ts';
import { json } from './json.ts';
import type { Reporter } from './reporter.ts';
import { suppressions } from './suppression-file.ts';
import { table } from './table.ts';

export type { Reporter, ReportOptions } from './reporter.ts';

/** Names of the formats, as `--reporter` takes them. */
export type ReporterName = 'table' | 'json' | 'suppressions' | 'html';

/** Every format, one file each. A new one is a new file and a row here. */
export const reporters: Readonly<Record<ReporterName, Reporter>> = { table, json, suppressions, html };

/** The names in the order of {@link reporters}, for help and error texts. */
export const reporterNames: readonly ReporterName[] = Object.keys(reporters) as ReporterName[];

/** There is a format of that name. */
export function isReporterName(name: string): name is ReporterName {
  return Object.hasOwn(reporters, name);
}
