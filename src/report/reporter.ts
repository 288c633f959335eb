import type { Report } from '../model.ts';

/** The place that a report goes to, and the user's wishes. Reporters are pure: everything else is in the report. */
export interface ReportOptions {
  /** 0 no colour, 1 sixteen colours, 2 256 colours, 3 true colour. */
  readonly colorLevel: 0 | 1 | 2 | 3;
  /** Width in cells. Less than 40 counts as 40, and prose is never wider than 120. */
  readonly columns: number;
  /** Gives the lines of a source file, or `undefined` where it cannot be read. Without it, no source is shown. */
  readonly readSource?: (file: string) => readonly string[] | undefined;
  /** Files below this directory are shown relative to it. */
  readonly baseDirectory?: string;
  /** Gives the path that is shown for a source file. Without it, paths are shown as the symbols spell them. */
  readonly showSourcePath?: (path: string) => string;
  /** Show notes, not only their number. */
  readonly showNotes?: boolean;
  /** Show suppressed and known findings, not only their number. */
  readonly showSuppressed?: boolean;
  /** Show every finding in full. Without it a table has at most 100 lines, and shows the worst findings. */
  readonly showAll?: boolean;
  /** Show every frame of the system and of the compiler's runtime, not only the function that was called. */
  readonly showSystemFrames?: boolean;
  /** Nothing outside of ASCII, for consoles that cannot show it. */
  readonly ascii?: boolean;
}

/** Turns a report into the text of one format, which ends with a line feed. */
export type Reporter = (report: Report, options: ReportOptions) => string;
