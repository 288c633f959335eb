import type { Report } from '../model.ts';

/** What a reporter is told of the place that its text goes to. Everything comes in through here: reporters are pure. */
export interface ReportOptions {
  /** 0 no colour, 1 sixteen colours, 2 256 colours, 3 true colour. */
  readonly colorLevel: 0 | 1 | 2 | 3;
  /** Width in cells; less than 40 is treated as 40, and prose is never set wider than 120. */
  readonly columns: number;
  /** The lines of a source file, or `undefined` where there is no such file; without it no source is shown. */
  readonly readSource?: (file: string) => readonly string[] | undefined;
  /** Files below this directory are shown relative to it. */
  readonly baseDirectory?: string;
  /** How a source file's path is to be shown, where not as the symbols spell it. */
  readonly showSourcePath?: (path: string) => string;
  /** Show notes too, and not only how many there are. */
  readonly showNotes?: boolean;
  /** Show suppressed and known findings too, and not only how many there are. */
  readonly showSuppressed?: boolean;
  /** Show every frame of the system and of the compiler's runtime, and not only the function that was called. */
  readonly showSystemFrames?: boolean;
  /** Nothing outside of ASCII, for consoles that cannot show it. */
  readonly ascii?: boolean;
}

/** Turns a report into the text of one format, which ends with a line feed. */
export type Reporter = (report: Report, options: ReportOptions) => string;
