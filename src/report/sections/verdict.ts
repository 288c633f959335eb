import type { Finding, Level, Report } from '../../model.ts';
import { plural } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { ReportOptions } from '../reporter.ts';
import { selectFindings } from '../selection.ts';

/** A whole report in one line. */
interface Verdict {
  /**
   * - `errors`, `warnings`: the worst of the new findings;
   * - `clean`: there are none;
   * - `unsure`: there are none in what could be seen, and that was not all.
   */
  readonly outcome: 'errors' | 'warnings' | 'clean' | 'unsure';
  /** The counts that decide the exit code, and those that the view leaves out. The text is not escaped. */
  readonly text: string;
}

/** Sums a report up. For partial data it never says only that nothing was found. */
export function reachVerdict(
  report: Report,
  { showNotes = false, showSuppressed = false }: Pick<ReportOptions, 'showNotes' | 'showSuppressed'>,
): Verdict {
  const { completeness, target } = report;
  const { serious, notes, known, suppressed } = selectFindings(report);
  const errors = countLevel(serious, 'error');
  const warnings = countLevel(serious, 'warning');
  const program = baseName(target.command[0] ?? 'the program');
  const withNotes = showNotes ? '' : ' (--notes)';
  const withAccepted = showSuppressed ? '' : ' (--suppressed)';
  const hidden = [
    notes.length === 0 ? '' : `, ${plural(notes.length, 'note')}${withNotes}`,
    known.length === 0 ? '' : `, ${known.length} known${withAccepted}`,
    suppressed.length === 0 ? '' : `, ${suppressed.length} suppressed${withAccepted}`,
  ].join('');
  const none = known.length === 0 ? 'No leaks and no misused handles' : 'No new leaks and no new misuse of handles';
  if (errors + warnings > 0) {
    const counts = [
      errors === 0 ? '' : plural(errors, 'error'),
      warnings === 0 ? '' : plural(warnings, 'warning'),
    ].filter((part) => part !== '');
    const partial = completeness.complete ? '' : '; the report is incomplete';
    const grown = serious.filter(({ baseline }) => baseline !== undefined).length;
    const beyond = grown === 0 ? '' : ` (${grown} beyond the baseline)`;
    return { outcome: errors > 0 ? 'errors' : 'warnings', text: `${counts.join(', ')}${beyond}${hidden}${partial}.` };
  }
  if (completeness.complete) return { outcome: 'clean', text: `${none} in ${program}${hidden}.` };
  return {
    outcome: 'unsure',
    text: `${none} in what could be seen of ${program}${hidden}, but the report is incomplete.`,
  };
}

function countLevel(findings: readonly Finding[], level: Level): number {
  return findings.filter((finding) => finding.level === level).length;
}
