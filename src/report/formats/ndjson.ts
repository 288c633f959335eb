import type { Finding, Frame, Report } from '../../model.ts';
import { cutText } from '../../text/cut.ts';
import { escapeJson } from '../../text/escape.ts';
import { rememberFrames } from '../stacks/frame-memory.ts';
import {
  completenessToJson,
  findingToJson,
  frameToJson,
  namedStacks,
  statsToJson,
  targetToJson,
} from '../json-values.ts';
import type { PiecewiseReporter } from '../reporter.ts';
import { listFindings } from '../selection.ts';

/** Log shippers cut or drop a line that is longer than 256 KiB, each at its own limit. */
const lineSizeBytesMax = 250_000;

/**
 * How many frames of each stack a line has, at most, and how long its texts may be. A line that gets too long is
 * written again with less of both; the last row is short enough for all.
 */
const attempts: readonly { readonly frames: number; readonly textLength: number; readonly isLast?: true }[] = [
  { frames: 64, textLength: 1000 },
  { frames: 16, textLength: 1000 },
  { frames: 4, textLength: 500 },
  { frames: 0, textLength: 200, isLast: true },
];

/** How many members a list has, such as the arguments of the target, at most. */
const itemsMax = 50;

/**
 * The findings for a log shipper, a line of JSON each, with the same members as in the JSON document. A last line of
 * kind `audit` says how much was seen: without it, no findings would prove nothing.
 *
 * Long texts, deep stacks and long lists are cut: the JSON document has all of them. `framesLeftOut` says of each
 * stack how many outer frames are missing.
 */
export const ndjson: PiecewiseReporter = function* (report, options) {
  const head = { tool: report.tool, target: targetToJson(report.target) };
  const writeFrame = rememberFrames((frame): WrittenFrame => {
    const text = write(frameToJson(frame));
    return { text, sizeBytes: Buffer.byteLength(text) };
  });
  for (const finding of listFindings(report, options)) yield* writeFinding(finding, head, writeFrame);
  yield `${write({ kind: 'audit', ...head, ...summarise(report) })}\n`;
};

function summarise({ completeness, findings, ...report }: Report): object {
  const count = (level: string): number =>
    findings.filter((finding) => finding.status === 'new' && finding.level === level).length;
  return {
    findings: { error: count('error'), warning: count('warning'), note: count('note') },
    completeness: completenessToJson({ ...completeness, gaps: completeness.gaps.slice(0, itemsMax) }),
    stats: statsToJson({ ...report, completeness, findings }),
  };
}

function* writeFinding(finding: Finding, head: object, writeFrame: (frame: Frame) => WrittenFrame): Iterable<string> {
  const stacks = namedStacks(finding);
  for (const { frames, textLength, isLast } of attempts) {
    const cut = stacks.filter(([, stack]) => stack.length > frames);
    const value = {
      kind: 'finding',
      ...head,
      ...findingToJson(cutHistory(finding, frames), {}),
      framesLeftOut:
        cut.length === 0 ? undefined : Object.fromEntries(cut.map(([name, stack]) => [name, stack.length - frames])),
    };
    // The text `"stacks":{}` cannot stand within another one, where quotes are escaped.
    const [before = '', after = ''] = write(value, textLength).split('"stacks":{}', 2);
    const kept = stacks.map(([name, stack]) => [name, stack.slice(0, frames).map(writeFrame)] as const);
    const sizeBytes = kept
      .flatMap(([, written]) => written)
      .reduce((sum, frame) => sum + frame.sizeBytes + 1, Buffer.byteLength(before) + Buffer.byteLength(after));
    if (sizeBytes > lineSizeBytesMax && isLast !== true) continue;
    yield `${before}"stacks":{`;
    for (const [nth, [name, written]] of kept.entries()) {
      yield `${nth === 0 ? '' : ','}"${name}":[`;
      for (const [index, { text }] of written.entries()) {
        if (index > 0) yield ',';
        yield text;
      }
      yield ']';
    }
    yield `}${after}\n`;
    return;
  }
}

/** The stacks of a history with their innermost frames alone. */
function cutHistory({ history, ...finding }: Finding, frames: number): Finding {
  if (history === undefined) return finding;
  const events = history.events.map((event) => ({ ...event, stack: event.stack.slice(0, frames) }));
  return { ...finding, history: { ...history, events } };
}

/** A frame as JSON, which many lines share. */
interface WrittenFrame {
  readonly text: string;
  readonly sizeBytes: number;
}

function write(value: object, textLength: number = 500): string {
  return escapeJson(
    JSON.stringify(value, (_key, member: unknown) =>
      typeof member === 'string'
        ? cutText(member, textLength)
        : Array.isArray(member)
          ? member.slice(0, itemsMax)
          : member,
    ),
  );
}
