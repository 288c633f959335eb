import type { Finding } from '../../model.ts';
import { cutText } from '../../text/cut.ts';
import { describeObject } from '../finding-view.ts';
import { type Column, csvCell } from '../listing.ts';
import type { PiecewiseReporter } from '../reporter.ts';
import { listFindings } from '../selection.ts';
import { findPlacesIn, placeFinding, type SourcePlace } from '../source-place.ts';
import { siteFrame, spellSiteOf } from '../stacks/stack-view.ts';

/** A spreadsheet cuts a cell that is longer than 32,767 characters. */
const cellLengthMax = 8000;

/** A finding, and where it is. */
interface Row {
  readonly finding: Finding;
  readonly place: SourcePlace | undefined;
}

const columns: readonly Column<Row>[] = [
  { key: 'level', read: ({ finding }) => finding.level },
  { key: 'status', read: ({ finding }) => finding.status },
  { key: 'rule', read: ({ finding }) => finding.rule },
  { key: 'count', read: ({ finding }) => finding.count },
  { key: 'type', read: ({ finding }) => finding.object.type },
  { key: 'object', read: ({ finding }) => describeObject(finding.object, '->') },
  { key: 'site', read: ({ finding: { stacks } }) => spellSiteOf(stacks.offending ?? stacks.opened) },
  { key: 'file', read: ({ place }) => place?.path },
  { key: 'line', read: ({ place }) => place?.line },
  { key: 'message', read: ({ finding }) => finding.message },
  { key: 'processes', read: ({ finding }) => finding.processes?.map(({ pid }) => pid).join(' ') },
  { key: 'fingerprint', read: ({ finding }) => finding.fingerprint },
  { key: 'suppression', read: ({ finding }) => finding.suppression },
];

/**
 * A row for each finding, as RFC 4180 has it (https://www.rfc-editor.org/rfc/rfc4180): commas, quotes where they are
 * needed, and a carriage return before each line feed. No cell can become a formula of a spreadsheet: see
 * {@link csvCell}.
 */
export const csv: PiecewiseReporter = function* (report, options) {
  yield `${columns.map(({ key }) => key).join(',')}\r\n`;
  const findPlace = findPlacesIn(options);
  for (const finding of listFindings(report, options)) {
    const row: Row = { finding, place: placeFinding(finding, findPlace) ?? placeInProgram(finding) };
    const cells = columns.map(({ read }) => {
      const cell = read(row);
      return csvCell(typeof cell === 'string' ? cutText(cell, cellLengthMax) : cell);
    });
    yield `${cells.join(',')}\r\n`;
  }
};

/** The place as the symbols spell it. */
function placeInProgram({ stacks }: Finding): SourcePlace | undefined {
  const { file, line } = siteFrame(stacks.offending ?? stacks.opened) ?? {};
  return file === undefined ? undefined : { path: file, ...(line === undefined ? {} : { line }) };
}
