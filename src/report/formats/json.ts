import { type Completeness, mayHideFindings } from '../../completeness.ts';
import type { Finding, Frame, HandleObject, Report, Stack, SuppressionLine } from '../../model.ts';
import { escapeJson } from '../../text/escape.ts';
import { spellGap } from '../gaps.ts';
import { hexadecimal } from '../numbers.ts';
import type { Reporter, ReportOptions } from '../reporter.ts';
import { isShown, selectFindings } from '../selection.ts';

/**
 * The report as one JSON document (docs/json.md), indented, with its keys in the documented order.
 *
 * Notes and suppressed findings are counted, and are listed only on demand: a program that reads an empty list means
 * that there is nothing to do.
 *
 * Every name of the target survives: lone surrogates and control characters are escaped as JSON does it, and so are
 * characters that JSON would let through but that a terminal obeys.
 */
export const json: Reporter = (report, options) =>
  `${escapeJson(JSON.stringify(toJson(report, options), undefined, 2))}\n`;

/** Keys are written in the order in which they stand here; JSON.stringify leaves out `undefined` ones. */
function toJson(report: Report, options: ReportOptions): object {
  const {
    schemaVersion,
    tool,
    target,
    findings,
    completeness,
    modulesWithoutNames,
    suppressions,
    processes,
    runs,
    stats,
  } = report;
  const { notes, known, suppressed } = selectFindings(report);
  return {
    schemaVersion,
    tool: { name: tool.name, version: tool.version },
    target: { command: target.command, pid: target.pid, attached: target.attached, exitCode: target.exitCode },
    findings: findings.filter((finding) => isShown(finding, options)).map(findingToJson),
    completeness: completenessToJson(completeness),
    modulesWithoutNames: modulesWithoutNames?.map(({ module, why, debugFile, pdbId }) => ({
      module,
      why,
      debugFile,
      pdbId,
    })),
    suppressions: suppressions?.map((use) => ({ ...suppressionToJson(use), findings: use.findings })),
    processes: processes?.map(({ pid, parentPid, image, exitCode, opens, closes, findings: count }) => ({
      pid,
      parentPid,
      image,
      exitCode,
      opens,
      closes,
      findings: count,
    })),
    runs: runs?.map(({ pid, exitCode, durationMs }) => ({ pid, exitCode, durationMs })),
    stats: {
      durationMs: stats.durationMs,
      opens: stats.opens,
      closes: stats.closes,
      openHandles: stats.openHandles,
      hookedCalls: stats.hookedCalls,
      distinctStacks: stats.distinctStacks,
      notes: notes.length,
      suppressed: suppressed.length,
      known: known.length === 0 ? undefined : known.length,
      iterations: stats.iterations,
    },
  };
}

/** The sentences for people, and the same gaps as data. */
function completenessToJson({ complete, gaps }: Completeness): object {
  return {
    complete,
    notes: gaps.map(spellGap),
    gaps: gaps.map(({ kind, runs, processes, ...figures }) => ({
      kind,
      mayHideFindings: mayHideFindings[kind],
      ...figures,
      processes,
      runs,
    })),
  };
}

function findingToJson({
  rule,
  level,
  status,
  message,
  count,
  object,
  handles,
  objects,
  stacks,
  fingerprint,
  growth,
  processes,
  runs,
  suppression,
  suppressedBy,
}: Finding): object {
  return {
    rule,
    level,
    status,
    message,
    count,
    object: objectToJson(object),
    handles: handles.map(hexadecimal),
    objects: objects?.map(objectToJson),
    stacks: {
      opened: stackToJson(stacks.opened),
      closed: stackToJson(stacks.closed),
      offending: stackToJson(stacks.offending),
      victim: stackToJson(stacks.victim),
      siblingsClosed: stackToJson(stacks.siblingsClosed),
    },
    fingerprint,
    growth: growth && {
      iterations: growth.iterations,
      grewIn: growth.grewIn,
      handlesPerIteration: growth.handlesPerIteration,
    },
    processes: processes?.map(({ pid, count: part }) => ({ pid, count: part })),
    runs,
    suppression,
    suppressedBy: suppressedBy && suppressionToJson(suppressedBy),
  };
}

function suppressionToJson({ line, source, lineNumber, reason }: SuppressionLine): object {
  return { line, source, lineNumber, reason };
}

function objectToJson({ type, name, socket, wrapper }: HandleObject): object {
  return {
    type,
    name,
    socket: socket && { protocol: socket.protocol, local: socket.local, remote: socket.remote, state: socket.state },
    wrapper: wrapper && {
      type: wrapper.type,
      value: wrapper.value === undefined ? undefined : hexadecimal(wrapper.value),
      descriptor: wrapper.descriptor,
    },
  };
}

function stackToJson(stack: Stack | undefined): readonly object[] | undefined {
  return stack?.map(frameToJson);
}

function frameToJson({ module, function: name, offset, file, line, inlined, system, runtime }: Frame): object {
  return { module, function: name, offset, file, line, inlined, system, runtime };
}
