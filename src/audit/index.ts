import { combineRuns } from '../analyze/combine/repetition.ts';
import type { Report } from '../model.ts';
import { auditProgram } from './audit-program.ts';
import type { AuditOptions } from './options.ts';

export type { RecordingOptions } from '../agent/inject/recording-options.ts';
export type { AnalyzeOptions } from '../analyze/index.ts';
export type { SuppressionText } from '../analyze/suppressions.ts';
export type { Completeness, CountedGap, Gap, NamingGap } from '../completeness.ts';
export { attach, type AttachOptions } from './attach.ts';
export { begin, end, mark, section } from '../marks/mark.ts';
export type {
  Finding,
  FindingStatus,
  Frame,
  HandleObject,
  Level,
  OpenOverTime,
  Report,
  Rule,
  SocketDescription,
  Stack,
  Statistics,
  SuppressionLine,
  SuppressionUse,
} from '../model.ts';
export { spellGap } from '../report/gaps.ts';
export type { CountedProcess, OpenCounts } from './open-counts.ts';
export type { AuditOptions, AuditProgress } from './options.ts';
export type { StopNews, StopOptions, StoppedThread } from './stops/stop-options.ts';
export type { SymbolDownload } from '../symbols/store/symbol-server.ts';

/**
 * Runs a program and reports the handles and sockets that it left unclosed, closed twice, or used after closing.
 *
 * The target's standard streams are ours. Everything that was opened for it is closed when the promise settles, and a
 * target that could not be audited is not left running. Several audits may be under way at once.
 *
 * @throws ProgramError when the program cannot be audited
 * @throws MarkError when marks cannot be taken by that name
 * @throws SuppressionError for a line of suppressions that is none
 * @throws Win32Error or NtStatusError when Windows refuses what the audit needs
 * @throws LedgerDamagedError when the target has overwritten what was recorded
 */
export async function audit(options: AuditOptions): Promise<Report> {
  const { repeat, signal, interruption } = options;
  if (repeat === undefined) return await auditProgram(options);
  const reports = [await auditProgram(options)];
  while (reports.length < repeat && signal?.aborted !== true && interruption?.aborted !== true)
    reports.push(await auditProgram(options));
  return combineRuns(reports, repeat);
}
