import { compareWithBaseline } from '../../baseline/compare.ts';
import type { KnownFinding } from '../../baseline/entries.ts';
import { pruneBaseline, type UpdatedBaseline, updateBaseline } from '../../baseline/update.ts';
import { restateFindings } from '../../analyze/combine/restate.ts';
import { applyConfig } from '../../config/verdicts.ts';
import type { BaselineChanges, Report } from '../../model.ts';
import { UserError } from '../../user-error.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { BaselineFile } from './baseline-file.ts';
import type { Configuration } from './configuration.ts';

/** The options by which a judge knows what is accepted. */
interface JudgeOptions {
  readonly configuration?: Configuration;
  readonly baseline?: string;
  readonly updateBaseline?: true;
  readonly pruneBaseline?: true;
  /** Whether notes are shown, and so accepted by a new baseline. */
  readonly notes: boolean;
}

/** A baseline is to be changed, and none is named. */
class NoBaselineError extends UserError {
  constructor(option: string) {
    super(`Cannot carry out ${option}: no baseline is named. Try --baseline <file>.`);
  }
}

/** Decides which findings of reports are new: by the configuration, then by the baseline. */
export class ReportJudge {
  readonly #options: JudgeOptions;
  readonly #file: BaselineFile | undefined;
  #failure: unknown;

  private constructor(options: JudgeOptions, file: BaselineFile | undefined) {
    this.#options = options;
    this.#file = file;
  }

  /**
   * Reads the baseline, before hours are spent on an audit.
   *
   * @throws NoBaselineError when none is named that could be changed
   * @throws BaselineFileError when it cannot be read, or written if it is to be
   * @throws BaselineError when it is none
   */
  static prepare(options: JudgeOptions): ReportJudge {
    const { baseline, updateBaseline: updates, pruneBaseline: prunes } = options;
    if (baseline === undefined) {
      if (updates || prunes) throw new NoBaselineError(updates ? '--update-baseline' : '--prune-baseline');
      return new ReportJudge(options, undefined);
    }
    const path = toWindowsPath(baseline);
    if (prunes) BaselineFile.read(path); // there is nothing to prune in a file that is not there
    return new ReportJudge(options, updates || prunes ? BaselineFile.readToUpdate(path) : BaselineFile.read(path));
  }

  /** The verdicts on a report after which others come. The baseline is only read. */
  judge(report: Report): Report {
    const configured = this.#configure(report);
    return this.#file === undefined ? configured : this.#compare(configured, this.#file.entries);
  }

  /**
   * The verdicts on the last report. The baseline is changed first, if it is to be, so that the report says what the
   * next one will. If it cannot be written, {@link throwFailure} does not return.
   */
  conclude(report: Report): Report {
    const configured = this.#configure(report);
    const file = this.#file;
    if (file === undefined) return configured;
    const updated = this.#update(configured, file.entries);
    if (updated === undefined) return this.#compare(configured, file.entries);
    try {
      file.write(updated.entries);
    } catch (error) {
      this.#failure = error;
      return this.#compare(configured, file.entries);
    }
    return this.#compare(configured, updated.entries, updated.changes);
  }

  /** @throws BaselineFileError when the baseline could not be written */
  throwFailure(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  #configure(report: Report): Report {
    const { configuration } = this.#options;
    return configuration === undefined ? report : applyConfig(report, configuration.config, configuration.shown);
  }

  #update(
    { findings, completeness: { complete } }: Report,
    entries: readonly KnownFinding[],
  ): UpdatedBaseline | undefined {
    const { updateBaseline: updates, pruneBaseline: prunes, notes } = this.#options;
    if (updates) return updateBaseline(entries, findings, { notes, complete });
    return prunes ? pruneBaseline(entries, findings, complete) : undefined;
  }

  #compare(report: Report, entries: readonly KnownFinding[], changes?: BaselineChanges): Report {
    const { findings, stale } = compareWithBaseline(report.findings, entries);
    const { shown } = this.#file!;
    return {
      ...restateFindings(report, findings),
      baseline: {
        file: shown,
        entries: entries.length,
        stale,
        ...(changes === undefined ? {} : { changes }),
      },
    };
  }
}
