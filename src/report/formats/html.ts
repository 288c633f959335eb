import { drawDocument } from '../html/document.ts';
import { layOut } from '../html/page.ts';
import type { Reporter } from '../reporter.ts';

/**
 * The report as a page for a browser (docs/html.md): one file that loads nothing, and that reads well without its
 * script. However large the report, the page has some megabytes at most; with `showAll` it may have some more.
 */
export const html: Reporter = (report, options) => {
  const page = drawDocument(layOut(report, options));
  if (options.ascii !== true) return page;
  return page.replace(/[^\n\x20-\x7e]/gu, (character) => `&#x${character.codePointAt(0)!.toString(16)};`);
};
