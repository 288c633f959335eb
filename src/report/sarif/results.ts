import type { Finding, Stack } from '../../model.ts';
import { ruleNames, rules } from '../../rules.ts';
import { describeObject, stacksOf } from '../finding-view.ts';
import { hexadecimal } from '../numbers.ts';
import { type FindPlace, placeFinding, type SourcePlace } from '../source-place.ts';
import { siteFrame } from '../stacks/stack-view.ts';
import { closeLocation, describeFunction, describePlace, type FrameTexts, spellFunction } from './locations.ts';
import { spellEvent } from '../stacks/history-view.ts';
import { messageText, nameText } from './text.ts';

/** The means to write findings. */
export interface ResultView {
  readonly texts: FrameTexts;
  readonly findPlace: FindPlace;
  /** The place of a finding that has none in the repository: GitHub refuses a result without one. */
  readonly elsewhere: SourcePlace;
  /** How many frames of a stack are written. */
  readonly framesMax: number;
  /** How many steps a code flow has. */
  readonly stepsMax: number;
  /** The report has findings of a baseline, so that the others are new by it. */
  readonly hasBaseline: boolean;
}

/** A finding as a result of SARIF, in pieces of JSON, most of which many results share. */
export function writeResult(finding: Finding, view: ResultView): readonly string[] {
  const related = writeRelated(finding, view);
  const steps = writeFlow(finding, view);
  return [
    JSON.stringify(describeResult(finding, view)).slice(0, -1),
    ...(related.length === 0 ? [] : [`,"relatedLocations":[${related.join(',')}]`]),
    ...(steps.length === 0 ? [] : [',"codeFlows":[{"threadFlows":[{"locations":[', ...steps, ']}]}]']),
    ...writeStacks(finding, view),
    '}',
  ];
}

/** The members that no other result shares. */
function describeResult(finding: Finding, view: ResultView): object {
  const { rule, level, status, message, count, fingerprint, suppressedBy } = finding;
  const site = siteFrame(finding.stacks.offending ?? finding.stacks.opened);
  return {
    ruleId: rule,
    ruleIndex: ruleNames.indexOf(rule),
    level,
    message: { text: messageText(message) },
    locations: [
      {
        ...describePlace(placeFinding(finding, view.findPlace) ?? view.elsewhere),
        ...(site === undefined ? {} : { logicalLocations: [describeFunction(site)] }),
      },
    ],
    partialFingerprints: { 'unclosed/v1': fingerprint },
    ...(view.hasBaseline && status !== 'suppressed' ? { baselineState: status === 'known' ? 'unchanged' : 'new' } : {}),
    ...(status === 'suppressed' ? { suppressions: [describeSuppression(suppressedBy)] } : {}),
    occurrenceCount: count,
    properties: describeProperties(finding),
  };
}

function describeSuppression(line: Finding['suppressedBy']): object {
  if (line === undefined) return { kind: 'external', status: 'accepted' };
  const { source, lineNumber, reason, line: text } = line;
  const why = reason === undefined ? text : `${reason} (${text})`;
  return { kind: 'external', status: 'accepted', justification: nameText(`${source}:${lineNumber}: ${why}`) };
}

/** The stacks in the order in which their calls were made, with a word for each call. */
function eventsOf({ rule, stacks }: Finding): readonly (readonly [what: string, stack: Stack])[] {
  const { closed, offending } = rules[rule].stackLabels;
  const all: readonly (readonly [string, Stack | undefined])[] = [
    ['opened here', stacks.opened],
    [closed.replace(/ at$/, ' here'), stacks.closed],
    [offending.replace(/ at$/, ' here'), stacks.offending],
  ];
  return all.flatMap(([what, stack]) => (stack === undefined ? [] : [[what, stack] as const]));
}

/** The same calls, or those of the value's earlier lives too, where it had any. */
function historyOf(finding: Finding): ReturnType<typeof eventsOf> {
  const { history } = finding;
  if (history === undefined) return eventsOf(finding);
  return history.events.map((event) => [`${spellEvent(finding, event)} here`, event.stack]);
}

/**
 * The way through the repository's files: how the program came to each call, from its outermost function on, and the
 * call. Only steps with a place are written, because GitHub refuses others.
 */
function writeFlow(finding: Finding, { texts, framesMax, stepsMax }: ResultView): readonly string[] {
  const pieces: string[] = [];
  let step = 0;
  for (const [what, stack] of historyOf(finding)) {
    const frames = stack.slice(0, framesMax).filter(texts.isInRepository).toReversed();
    for (const [level, frame] of frames.entries()) {
      if (step === stepsMax) return pieces;
      step += 1;
      const isCall = level === frames.length - 1;
      pieces.push(
        step === 1 ? '{"location":' : ',{"location":',
        isCall ? closeLocation(texts.location(frame), `${what}, by ${spellFunction(frame)}`) : texts.wayLocation(frame),
        `,"nestingLevel":${level},"importance":"${isCall ? 'essential' : 'unimportant'}","executionOrder":${step}}`,
      );
    }
  }
  return pieces;
}

/** Every call that has a part in the finding, at its innermost place in the repository. */
function writeRelated(finding: Finding, { texts }: ResultView): readonly string[] {
  const { victim, siblingsClosed } = finding.stacks;
  const others: readonly (readonly [string, Stack | undefined])[] = [
    ['what stood in its place was opened here', victim],
    ['others of this site are closed here', siblingsClosed],
  ];
  return [...eventsOf(finding), ...others]
    .flatMap(([what, stack = []]) => {
      const frame = stack.find(texts.isInRepository);
      return frame === undefined ? [] : [closeLocation(texts.location(frame), what)];
    })
    .map((location, index) => `{"id":${index + 1},${location.slice(1)}`);
}

/** The call stacks, with the outer frames left out of those that are too deep. */
function* writeStacks(finding: Finding, { texts, framesMax }: ResultView): Iterable<string> {
  const stacks = stacksOf(finding).filter(([, stack]) => stack.length > 0);
  if (stacks.length === 0) return;
  yield ',"stacks":[';
  for (const [nth, [label, stack]] of stacks.entries()) {
    const left = stack.length - framesMax;
    const message = messageText(left > 0 ? `${label} (${left} outer frames left out)` : label);
    yield `${nth === 0 ? '' : ','}{"message":${JSON.stringify({ text: message })},"frames":[`;
    for (const [index, frame] of stack.slice(0, framesMax).entries()) {
      if (index > 0) yield ',';
      yield texts.stackFrame(frame);
    }
    yield ']}';
  }
  yield ']';
}

function describeProperties(finding: Finding): object {
  const { status, object, handles, growth, sections, processes, runs, suppression } = finding;
  const name = describeObject(object, '->');
  return {
    status,
    objectType: nameText(object.type),
    ...(name === '' ? {} : { objectName: nameText(name) }),
    handles: handles.map(hexadecimal),
    ...(growth === undefined ? {} : { growth }),
    ...(sections === undefined ? {} : { sections: describeSections(sections) }),
    ...(processes === undefined ? {} : { processes: processes.slice(0, 100) }),
    ...(runs === undefined ? {} : { runs: runs.slice(0, 1000) }),
    ...(suppression === undefined ? {} : { suppression: nameText(suppression) }),
  };
}

/** The labelled sections that a finding belongs to. */
function describeSections({ opened = [], called = [], leftIn }: NonNullable<Finding['sections']>): object {
  const describe = (parts: typeof opened): readonly object[] =>
    parts.map(({ names, of, count }) => ({ names: names.map(nameText), ...(of === undefined ? {} : { of }), count }));
  return {
    ...(opened.length === 0 ? {} : { opened: describe(opened) }),
    ...(called.length === 0 ? {} : { called: describe(called) }),
    ...(leftIn === undefined ? {} : { leftIn }),
  };
}
