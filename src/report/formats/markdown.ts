import { drawMarkdown } from '../markdown/page.ts';
import type { Reporter } from '../reporter.ts';

/**
 * GitHub takes a comment of 65,536 characters. In bytes it is never more characters than that, and some room is left
 * for a line that a script puts before it.
 */
const sizeBytesMax = 64_000;

/** The report as Markdown, for the comment of a pull request or merge request. */
export const markdown: Reporter = (report, options) => drawMarkdown(report, options, sizeBytesMax);
