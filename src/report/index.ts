import { csv } from './formats/csv.ts';
import { folded } from './formats/folded.ts';
import { github, stepSummary } from './formats/github.ts';
import { gitlab } from './formats/gitlab.ts';
import { html } from './formats/html.ts';
import { json } from './formats/json.ts';
import { junit } from './formats/junit.ts';
import { markdown } from './formats/markdown.ts';
import { ndjson } from './formats/ndjson.ts';
import { sarif } from './formats/sarif.ts';
import { suppressions } from './formats/suppressions.ts';
import { table } from './formats/table.ts';
import type { Companion, PiecewiseReporter, Reporter } from './reporter.ts';

export type { Companion, ReportOptions } from './reporter.ts';

/** Names of the formats, as `--reporter` takes them. */
export type ReporterName =
  | 'table'
  | 'json'
  | 'ndjson'
  | 'csv'
  | 'sarif'
  | 'junit'
  | 'github'
  | 'gitlab'
  | 'markdown'
  | 'html'
  | 'folded'
  | 'suppressions';

/** Every format, one file each. A new one is a new file and a row here. */
export const reporters: Readonly<Record<ReporterName, Reporter | PiecewiseReporter>> = {
  table,
  json,
  ndjson,
  csv,
  sarif,
  junit,
  github,
  gitlab,
  markdown,
  html,
  folded,
  suppressions,
};

/** The second texts of formats that have one. */
export const companions: Readonly<Partial<Record<ReporterName, Companion>>> = { github: stepSummary };

/** The formats that show how the number of open handles moved: counting it takes some time of the auditor. */
export const formatsOverTime: ReadonlySet<ReporterName> = new Set(['json', 'html']);

/** The names in the order of {@link reporters}, for help and error texts. */
export const reporterNames: readonly ReporterName[] = Object.keys(reporters) as ReporterName[];

/** There is a format of that name. */
export function isReporterName(name: string): name is ReporterName {
  return Object.hasOwn(reporters, name);
}
