import { gzipSync } from 'node:zlib';

import { type Gap, mayHideFindings } from '../../completeness.ts';
import type { Finding, Report } from '../../model.ts';
import { encodePieces } from '../../text/pieces.ts';
import { spellExitCode } from '../exit-code-meanings.ts';
import { spellGap } from '../gaps.ts';
import type { PiecewiseReporter, ReportOptions } from '../reporter.ts';
import { describeDriver } from '../sarif/driver.ts';
import { rootId, writeFramesWith } from '../sarif/locations.ts';
import { type ResultView, writeResult } from '../sarif/results.ts';
import { messageText, nameText, uriOfDirectory } from '../sarif/text.ts';
import { listFindings } from '../selection.ts';
import { findPlacesIn, placeProgram } from '../source-place.ts';

// The limits of GitHub's code scanning:
// https://docs.github.com/en/code-security/code-scanning/troubleshooting-sarif-uploads/results-exceed-limit
const resultsMax = 25_000;
/** GitHub takes 10,000 steps of a result, and shows 1,000. */
const stepsMax = 1000;
/** It takes 10 MB of gzip; some room is left for what stands beside the results. */
const compressedSizeBytesMax = 9_000_000;

/** Deeper stacks are cut, and further so where there are many: a report of all is some ten megabytes then. */
const framesPerStackMax = 128;
const framesPerStackMin = 4;
const framesMax = 100_000;

/** Results are compressed so many bytes at a time, to know how much room is left. */
const partSizeBytes = 1 << 20;

const gapsMax = 100;
const argumentsMax = 100;

/**
 * The report in the Static Analysis Results Interchange Format, SARIF 2.1.0
 * (https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html), within the limits of GitHub's code scanning. The
 * worst findings come first, and a notification says how many were left out, and whether stacks were cut.
 *
 * Its only invocation is that of the audited program: its arguments and its exit code. Incompleteness is in the
 * notifications.
 */
export const sarif: PiecewiseReporter = function* (report, options) {
  const findings = listFindings(report, options);
  const view = createResultView(report, findings.slice(0, resultsMax), options);
  yield `{"$schema":"https://json.schemastore.org/sarif-2.1.0.json","version":"2.1.0","runs":[{
"tool":${JSON.stringify({ driver: describeDriver(report) })},
"columnKind":"utf16CodeUnits",
${writeRoot(options)}"results":[\n`;
  let written = 0;
  for (const part of inParts(findings.slice(0, resultsMax), view)) {
    if (part.compressedSizeBytes > compressedSizeBytesMax) break;
    yield* part.pieces;
    written += part.results;
  }
  const notes = notify(report, findings, written, view);
  yield `\n],\n"invocations":${JSON.stringify([describeInvocation(report, notes)])},
"properties":${JSON.stringify(describeRun(report))}
}]}\n`;
};

/** The results in parts of about {@link partSizeBytes}, with the size of all so far in gzip's quickest mode. */
function* inParts(
  findings: readonly Finding[],
  view: ResultView,
): Iterable<{ readonly pieces: readonly string[]; readonly results: number; readonly compressedSizeBytes: number }> {
  let compressedSizeBytes = 0;
  let pieces: string[] = [];
  let length = 0;
  let results = 0;
  for (const [index, finding] of findings.entries()) {
    if (index > 0) pieces.push(',\n');
    for (const piece of writeResult(finding, view)) {
      pieces.push(piece);
      length += piece.length;
    }
    results += 1;
    if (length < partSizeBytes && index < findings.length - 1) continue;
    for (const bytes of encodePieces(pieces)) compressedSizeBytes += gzipSync(bytes, { level: 1 }).length;
    yield { pieces, results, compressedSizeBytes };
    pieces = [];
    length = 0;
    results = 0;
  }
}

function createResultView(report: Report, findings: readonly Finding[], options: ReportOptions): ResultView {
  const stacks = findings.flatMap(({ stacks: named }) => Object.values(named).filter((each) => each !== undefined));
  const perStack = Math.floor(framesMax / Math.max(1, stacks.length));
  const findPlace = findPlacesIn(options);
  return {
    findPlace,
    texts: writeFramesWith(findPlace),
    elsewhere: placeProgram(report, options),
    framesMax: Math.min(framesPerStackMax, Math.max(framesPerStackMin, perStack)),
    stepsMax,
    hasBaseline: report.findings.some(({ status }) => status === 'known'),
  };
}

function writeRoot({ baseDirectory, repositoryDirectory = baseDirectory }: ReportOptions): string {
  if (repositoryDirectory === undefined) return '';
  const root = { uri: uriOfDirectory(repositoryDirectory), description: { text: 'The root of the sources.' } };
  return `"originalUriBaseIds":${JSON.stringify({ [rootId]: root })},\n`;
}

/** Everything that is missing: what the audit could not see, and what did not fit. */
function notify({ completeness: { gaps } }: Report, findings: readonly Finding[], written: number, view: ResultView) {
  const notes = gaps.slice(0, gapsMax).map((gap) => describeGap(gap));
  if (gaps.length > gapsMax) notes.push(note('gaps-left-out', 'note', `${gaps.length - gapsMax} more.`));
  const left = findings.length - written;
  if (left > 0) {
    const text = `${left} of ${findings.length} findings are left out, none worse than the others: GitHub takes 25,000 results and 10 MB. The JSON report has all.`;
    notes.push(note('results-left-out', 'warning', text));
  }
  const cut = findings
    .slice(0, written)
    .some(({ stacks }) => Object.values(stacks).some((stack) => stack !== undefined && stack.length > view.framesMax));
  if (cut) {
    const text = `Stacks have ${view.framesMax} frames at most: the outer ones of deeper stacks are left out. The JSON report has all.`;
    notes.push(note('frames-left-out', 'note', text));
  }
  return notes;
}

function describeGap(gap: Gap): object {
  return note(gap.kind, mayHideFindings[gap.kind] ? 'warning' : 'note', spellGap(gap));
}

function note(id: string, level: 'warning' | 'note', text: string): object {
  return { descriptor: { id }, level, message: { text: messageText(text) } };
}

function describeInvocation({ target }: Report, notes: readonly object[]): object {
  const { command, pid, exitCode } = target;
  return {
    executionSuccessful: true,
    arguments: command.slice(1, argumentsMax + 1).map(nameText),
    processId: pid,
    ...(exitCode === undefined
      ? {}
      : { exitCode, exitCodeDescription: `the audited program: ${spellExitCode(exitCode)}` }),
    ...(notes.length === 0 ? {} : { toolExecutionNotifications: notes }),
    properties: { program: nameText(command[0] ?? '') },
  };
}

function describeRun({ completeness, stats }: Report): object {
  return { complete: completeness.complete, stats };
}
