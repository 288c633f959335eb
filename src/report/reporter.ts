import type { Level, Report } from '../model.ts';

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
  /**
   * The root of the sources that a build checked out, which is {@link baseDirectory} or stands above it. A report for
   * a machine names source files relative to it, and only those below it. Without it, {@link baseDirectory} is taken.
   */
  readonly repositoryDirectory?: string;
  /** New findings of this level and above make the build fail. Without it, those are warnings and errors. */
  readonly failOn?: Level | 'never';
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

/**
 * A reporter whose text may be longer than the longest string, which has 512 MiB in V8: it gives the text in pieces.
 * None of them is empty, and the last one ends with a line feed.
 */
export type PiecewiseReporter = (report: Report, options: ReportOptions) => Iterable<string>;

/** A second text of a format, for the file that an environment variable names. It is added to what is there. */
export interface Companion {
  readonly variable: string;
  /** All writers of the file together may take so much. */
  readonly fileSizeBytesMax: number;
  /** The text, which takes at most the bytes that are left; empty where they are too few. */
  readonly write: (report: Report, options: ReportOptions, sizeBytesMax: number) => string;
}
