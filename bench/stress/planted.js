/** @import { Finding, Report } from '../../dist/model.js' */

/**
 * The leak that the targets plant. On a busy machine it does not grow in every interval, and is a note.
 *
 * @param {Finding} finding
 */
export function isPlanted({ rule, stacks }) {
  return rule === 'leak' && stacks.opened?.some((frame) => frame.function === 'leak_event') === true;
}

/**
 * All that is more than a note and was not planted.
 *
 * @param {Report} report
 */
export function serious({ findings }) {
  return findings
    .filter((finding) => finding.level !== 'note' && !isPlanted(finding))
    .map(({ level, rule, message }) => `${level} ${rule} ${message}`);
}

/**
 * Whether a report says what was planted, and accuses of nothing else.
 *
 * @param {Report} report
 */
export function isRight(report) {
  return report.findings.some(isPlanted) && serious(report).length === 0;
}
