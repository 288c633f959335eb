import type { Level } from '../../model.ts';
import { cutText } from '../../text/cut.ts';
import { escapeJson, escapeText } from '../../text/escape.ts';
import type { Reporter } from '../reporter.ts';
import { listFindings } from '../selection.ts';
import { findPlacesIn, placeFinding, placeProgram } from '../source-place.ts';

/** GitLab shows a description in a line of a merge request. */
const descriptionLengthMax = 1000;

const severities: Readonly<Record<Level, string>> = { error: 'critical', warning: 'major', note: 'info' };

/**
 * A Code Quality report of GitLab (https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format): the
 * members that it reads, and none besides.
 *
 * It wants a place of each violation. A finding without one in the repository is at the program's own file, line 1.
 */
export const gitlab: Reporter = (report, options) => {
  const findPlace = findPlacesIn(options);
  const elsewhere = placeProgram(report, options);
  const violations = listFindings(report, options).map((finding) => {
    const { path, line = 1 } = placeFinding(finding, findPlace) ?? elsewhere;
    return {
      description: cutText(escapeText(finding.message), descriptionLengthMax),
      check_name: finding.rule,
      fingerprint: finding.fingerprint,
      severity: severities[finding.level],
      location: { path, lines: { begin: line } },
    };
  });
  return `${escapeJson(JSON.stringify(violations, undefined, 2))}\n`;
};
