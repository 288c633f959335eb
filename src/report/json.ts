import type { Finding, Frame, HandleObject, Report, Stack } from '../model.ts';
import { escapeJson } from '../text/escape.ts';
import { hexadecimal } from './hexadecimal.ts';
import type { Reporter } from './reporter.ts';
import { countSuppressed } from './suppressions-view.ts';

/**
 * The report as one JSON document (docs/json.md), indented, with its keys in the documented order.
 *
 * Notes are counted, and stand among the findings only on demand: who reads "no findings" by machine means that
 * nothing has to be done.
 *
 * Everything that a target may have put into a name survives: lone surrogates and control characters are escaped as
 * JSON does it, and so are those that JSON would let through but a terminal obeys.
 */
export const json: Reporter = (report, { showNotes = false }) =>
  `${escapeJson(JSON.stringify(toJson(report, showNotes), undefined, 2))}\n`;

/** Keys are written in the order in which they stand here; `undefined` ones are left out by JSON.stringify. */
function toJson(
  { schemaVersion, tool, target, findings, completeness, suppressions, runs, stats }: Report,
  showNotes: boolean,
): object {
  return {
    schemaVersion,
    tool: { name: tool.name, version: tool.version },
    target: { command: target.command, pid: target.pid, exitCode: target.exitCode },
    findings: findings.filter(({ level }) => showNotes || level !== 'note').map(findingToJson),
    completeness: { complete: completeness.complete, notes: completeness.notes },
    suppressions: suppressions?.map(({ line, source, lineNumber, reason, findings: count }) => ({
      line,
      source,
      lineNumber,
      reason,
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
      notes: findings.filter(({ level }) => level === 'note').length,
      suppressed: countSuppressed(suppressions),
      iterations: stats.iterations,
    },
  };
}

function findingToJson({
  rule,
  level,
  message,
  count,
  object,
  handles,
  objects,
  stacks,
  fingerprint,
  growth,
  runs,
  suppression,
}: Finding): object {
  return {
    rule,
    level,
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
    runs,
    suppression,
  };
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
