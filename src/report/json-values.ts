import { type Completeness, mayHideFindings } from '../completeness.ts';
import type {
  BaselineUse,
  Finding,
  Frame,
  HandleObject,
  HistoryEvent,
  OpenOverTime,
  Report,
  SectionPart,
  Stack,
  SuppressionLine,
} from '../model.ts';
import { spellGap } from './gaps.ts';
import { hexadecimal } from './numbers.ts';
import { splitRequested } from './stacks/requested-stack.ts';
import { selectFindings } from './selection.ts';

// The parts of a report as plain values of JSON. Their keys are written in the order in which they stand here;
// JSON.stringify leaves out those that are `undefined`.

/** The target of a report. */
export function targetToJson({ command, added, pid, attached, exitCode }: Report['target']): object {
  return { command, added, pid, attached, exitCode };
}

/** The sentences for people, and the same gaps as data. */
export function completenessToJson({ complete, gaps }: Completeness): object {
  return {
    complete,
    notes: gaps.map(spellGap),
    gaps: gaps.map(({ kind, runs, processes, indexes, ...figures }) => ({
      kind,
      mayHideFindings: mayHideFindings[kind],
      ...figures,
      processes,
      indexes,
      runs,
    })),
  };
}

/** The figures of an audit, with the numbers of the findings that are listed on demand only. */
export function statsToJson(report: Report): object {
  const { stats } = report;
  const { notes, known, suppressed } = selectFindings(report);
  return {
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
    sections: stats.sections,
  };
}

/** A finding, with its stacks in a form that the caller chooses. */
export function findingToJson(
  {
    rule,
    level,
    status,
    message,
    count,
    object,
    handles,
    objects,
    history,
    fingerprint,
    baseline,
    growth,
    sections,
    processes,
    runs,
    suppression,
    suppressedBy,
    dump,
  }: Finding,
  stacks: object,
): object {
  return {
    rule,
    level,
    status,
    message,
    count,
    object: objectToJson(object),
    handles: handles.map(hexadecimal),
    objects: objects?.map(objectToJson),
    stacks,
    history: history && {
      handle: hexadecimal(history.handle),
      events: history.events.map(historyEventToJson),
    },
    fingerprint,
    baseline: baseline && { count: baseline.count, perIteration: baseline.perIteration },
    growth: growth && {
      iterations: growth.iterations,
      grewIn: growth.grewIn,
      handlesPerIteration: growth.handlesPerIteration,
    },
    sections: sections && {
      opened: sections.opened?.map(sectionPartToJson),
      called: sections.called?.map(sectionPartToJson),
      leftIn: sections.leftIn,
    },
    processes: processes?.map(({ pid, index, image, count: part }) => ({ pid, index, image, count: part })),
    runs,
    suppression,
    suppressedBy: suppressedBy && suppressionToJson(suppressedBy),
    dump,
  };
}

function historyEventToJson({ event, life, type, closerOf, call, threadId, timeMs, stack }: HistoryEvent): object {
  return { event, life, type, closerOf, call, threadId, timeMs, stack: stack.map(frameToJson) };
}

function sectionPartToJson({ names, of, count }: SectionPart): object {
  return { names, of, count };
}

/** The stacks that a finding has, by their names, in the documented order. */
export function namedStacks({ stacks }: Finding): readonly (readonly [name: string, stack: Stack])[] {
  const { closed, offending, victim, siblingsClosed } = stacks;
  const { own: opened, requested } = stacks.opened === undefined ? { own: undefined } : splitRequested(stacks.opened);
  return Object.entries({ opened, requested, closed, offending, victim, siblingsClosed }).flatMap(([name, stack]) =>
    stack === undefined ? [] : [[name, stack] as const],
  );
}

/** A line of suppressions. */
export function suppressionToJson({ line, source, lineNumber, reason, expires }: SuppressionLine): object {
  return { line, source, lineNumber, reason, expires };
}

/** The baseline, and how it differs from the findings. */
export function baselineToJson({ file, entries, stale, changes }: BaselineUse): object {
  return {
    file,
    entries,
    stale: stale.map(({ rule, fingerprint, site, count, perIteration, found }) => ({
      rule,
      fingerprint,
      site,
      count,
      perIteration,
      found,
    })),
    changes: changes && {
      added: changes.added,
      raised: changes.raised,
      lowered: changes.lowered,
      dropped: changes.dropped,
    },
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

/** The counts of open handles, by their moments. */
export function openOverTimeToJson({ timesMs, types }: OpenOverTime): object {
  return { timesMs, types: types.map(({ type, counts }) => ({ type, counts })) };
}

/** A frame of a stack. */
export function frameToJson(frame: Frame): object {
  const {
    module,
    function: name,
    offset,
    file,
    line,
    column,
    inlined,
    javascript,
    system,
    interposed,
    runtime,
  } = frame;
  return { module, function: name, offset, file, line, column, inlined, javascript, system, interposed, runtime };
}
