import type { Finding, Report } from '../../model.ts';
import { baseName } from '../paths.ts';
import type { ReportOptions } from '../reporter.ts';
import { selectFindings } from '../selection.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { createTheme } from '../theme.ts';
import { clip } from './markup.ts';

/** A name of a row may be of any length. */
const nameMax = 240;

/** Everything that the parts of a page need to know. */
export interface Page {
  readonly report: Report;
  readonly options: ReportOptions;
  /** How stacks are spelt: without colours, and as wide as they are. */
  readonly view: StackView;
  /** The findings that the options ask for, in the order of the report: the new ones, and those that were accepted. */
  readonly fresh: readonly Finding[];
  readonly accepted: readonly Finding[];
}

/** The page of a report. */
export function layOut(report: Report, options: ReportOptions): Page {
  const { serious, notes, known, suppressed } = selectFindings(report);
  const program = baseName(report.target.command[0] ?? '').toLowerCase();
  return {
    report,
    options,
    view: {
      theme: {
        ...createTheme({ ...options, colorLevel: 0, ascii: false }),
        escape: (text) => clip(text, nameMax),
      },
      options,
      width: Number.POSITIVE_INFINITY,
      programModule: program.includes('.') ? program : `${program}.exe`,
    },
    fresh: options.showNotes === true ? [...serious, ...notes] : serious,
    accepted: options.showSuppressed === true ? [...known, ...suppressed] : [],
  };
}
