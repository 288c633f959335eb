import type { Finding, Frame, Report } from '../../model.ts';
import { escapeJson } from '../../text/escape.ts';
import { rememberFrames } from '../stacks/frame-memory.ts';
import {
  baselineToJson,
  completenessToJson,
  findingToJson,
  frameToJson,
  namedStacks,
  openOverTimeToJson,
  statsToJson,
  suppressionToJson,
  targetToJson,
} from '../json-values.ts';
import type { PiecewiseReporter } from '../reporter.ts';
import { isShown } from '../selection.ts';

/**
 * The report as one JSON document (docs/json.md), indented, with its keys in the documented order.
 *
 * Notes and suppressed findings are counted, and are listed only on demand: a program that reads an empty list means
 * that there is nothing to do.
 *
 * Every name of the target survives: lone surrogates and control characters are escaped as JSON does it, and so are
 * characters that JSON would let through but that a terminal obeys.
 *
 * Each frame is a piece of its own: ten thousand findings with deep stacks are more than one string can hold.
 */
export const json: PiecewiseReporter = function* (report, options) {
  // A line feed stands between keys only: within a text it is escaped.
  const [before = '', after = ''] = write(toJson(report), 0).split('\n  "findings": []', 2);
  const writeFrame = rememberFrames((frame) => write(frameToJson(frame), 10));
  let hasFindings = false;
  yield `${before}\n  "findings": [`;
  for (const finding of report.findings) {
    if (!isShown(finding, options)) continue;
    yield hasFindings ? ',\n    ' : '\n    ';
    yield* writeFinding(finding, writeFrame);
    hasFindings = true;
  }
  yield `${hasFindings ? '\n  ' : ''}]${after}\n`;
};

/** A value as indented text; further lines begin with so many spaces. */
function write(value: object, indent: number): string {
  const text = escapeJson(JSON.stringify(value, undefined, 2));
  // Not by replaceAll, which makes a tree of its parts, and each use of the text would walk through it again.
  return indent === 0 ? text : text.split('\n').join(`\n${' '.repeat(indent)}`);
}

function* writeFinding(finding: Finding, writeFrame: (frame: Frame) => string): Iterable<string> {
  const [before = '', after = ''] = write(findingToJson(finding, {}), 4).split('\n      "stacks": {}', 2);
  yield `${before}\n      "stacks": {`;
  const stacks = namedStacks(finding);
  for (const [nth, [name, stack]] of stacks.entries()) {
    yield `${nth === 0 ? '' : ','}\n        "${name}": [`;
    for (const [index, frame] of stack.entries()) {
      yield index === 0 ? '\n          ' : ',\n          ';
      yield writeFrame(frame);
    }
    yield stack.length === 0 ? ']' : '\n        ]';
  }
  yield `${stacks.length === 0 ? '' : '\n      '}}${after}`;
}

/** The document without its findings. */
function toJson(report: Report): object {
  const { schemaVersion, tool, target, completeness, modulesWithoutNames, suppressions } = report;
  const { baseline, processes, runs, openOverTime } = report;
  return {
    schemaVersion,
    tool: { name: tool.name, version: tool.version },
    target: targetToJson(target),
    findings: [],
    completeness: completenessToJson(completeness),
    modulesWithoutNames: modulesWithoutNames?.map(({ module, why, debugFile, pdbId, trouble }) => ({
      module,
      why,
      debugFile,
      pdbId,
      trouble,
    })),
    suppressions: suppressions?.map((each) => ({
      ...suppressionToJson(each),
      findings: each.findings,
      expired: each.expired,
    })),
    baseline: baseline && baselineToJson(baseline),
    processes: processes?.map(({ pid, parentPid, parentIndex, image, exitCode, opens, closes, findings: count }) => ({
      pid,
      parentPid,
      parentIndex,
      image,
      exitCode,
      opens,
      closes,
      findings: count,
    })),
    runs: runs?.map(({ pid, exitCode, durationMs }) => ({ pid, exitCode, durationMs })),
    stats: statsToJson(report),
    openOverTime: openOverTime && openOverTimeToJson(openOverTime),
  };
}
