import type { Finding, Stack } from '../../model.ts';
import { ruleNames, rules } from '../../rules.ts';
import { describeObject } from '../finding-view.ts';
import { stacksOf } from '../finding-view.ts';
import { hexadecimal } from '../numbers.ts';
import { placeFinding, type FindPlace } from '../source-place.ts';
import { siteFrame } from '../stack-view.ts';
import { describeStack, type Location, type Locations, placeLocation } from './locations.ts';
import { messageText, nameText } from './text.ts';

/** The means to describe findings. */
export interface ResultView {
  readonly locations: Locations;
  readonly findPlace: FindPlace;
  /** The location of a finding that has none in the repository: GitHub refuses a result without one. */
  readonly elsewhere: Location;
  /** How many frames of a stack are written. */
  readonly framesMax: number;
  /** How many steps a code flow has. */
  readonly stepsMax: number;
  /** The report has findings of a baseline, so that the others are new by it. */
  readonly hasBaseline: boolean;
}

/** A finding as a result of SARIF. */
export function describeResult(finding: Finding, view: ResultView): object {
  const { rule, level, status, message, count, fingerprint, suppressedBy } = finding;
  const related = describeRelated(finding, view);
  const flow = describeFlow(finding, view);
  return {
    ruleId: rule,
    ruleIndex: ruleNames.indexOf(rule),
    kind: 'fail',
    level,
    message: { text: messageText(message) },
    locations: [locateFinding(finding, view)],
    ...(flow.length === 0 ? {} : { codeFlows: [{ threadFlows: [{ locations: flow }] }] }),
    ...(related.length === 0 ? {} : { relatedLocations: related }),
    stacks: stacksOf(finding).flatMap(([label, stack]) =>
      stack.length === 0 ? [] : [describeStack(label, stack, view.framesMax, view.locations)],
    ),
    partialFingerprints: { 'unclosed/v1': fingerprint },
    ...(view.hasBaseline && status !== 'suppressed' ? { baselineState: status === 'known' ? 'unchanged' : 'new' } : {}),
    ...(status === 'suppressed' ? { suppressions: [describeSuppression(suppressedBy)] } : {}),
    occurrenceCount: count,
    properties: describeProperties(finding),
  };
}

/** The innermost place in the repository, with the function that stands there. */
function locateFinding(finding: Finding, { findPlace, locations, elsewhere }: ResultView): Location {
  const place = placeFinding(finding, findPlace);
  const site = siteFrame(finding.stacks.offending ?? finding.stacks.opened);
  const { logicalLocations } = site === undefined ? {} : locations.locate(site);
  return {
    ...(place === undefined ? elsewhere : placeLocation(place)),
    ...(logicalLocations === undefined ? {} : { logicalLocations }),
  };
}

function describeSuppression(line: Finding['suppressedBy']): object {
  if (line === undefined) return { kind: 'external', status: 'accepted' };
  const { source, lineNumber, reason, line: text } = line;
  const why = reason === undefined ? text : `${reason} (${text})`;
  return {
    kind: 'external',
    status: 'accepted',
    justification: nameText(`${why}: ${source}:${lineNumber}`),
  };
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

/**
 * The way through the repository's files: how the program came to each call, from its outermost function on, and the
 * call. Only steps with a place are written, because GitHub refuses others.
 */
function describeFlow(finding: Finding, { locations, framesMax, stepsMax }: ResultView): readonly object[] {
  const steps = eventsOf(finding).flatMap(([what, stack]) => {
    const frames = locations.inRepository(stack).slice(0, framesMax).toReversed();
    return frames.map((frame, index) => {
      const isCall = index === frames.length - 1;
      const name = frame.function ?? 'a function without a name';
      return {
        location: {
          ...locations.locate(frame),
          message: { text: messageText(isCall ? `${what}, by ${name}` : `on the way: ${name}`) },
        },
        nestingLevel: index,
        importance: isCall ? 'essential' : 'unimportant',
      };
    });
  });
  return steps.slice(0, stepsMax).map((step, index) => ({ ...step, executionOrder: index + 1 }));
}

/** Every call that has a part in the finding, at its innermost place in the repository. */
function describeRelated(finding: Finding, { locations }: ResultView): readonly object[] {
  const { victim, siblingsClosed } = finding.stacks;
  const others: readonly (readonly [string, Stack | undefined])[] = [
    ['what stood in its place was opened here', victim],
    ['others of this site are closed here', siblingsClosed],
  ];
  return [...eventsOf(finding), ...others]
    .flatMap(([what, stack = []]) => {
      const [frame] = locations.inRepository(stack);
      return frame === undefined ? [] : [{ ...locations.locate(frame), message: { text: messageText(what) } }];
    })
    .map((location, index) => ({ id: index + 1, ...location }));
}

function describeProperties(finding: Finding): object {
  const { status, object, handles, growth, processes, runs, suppression } = finding;
  const name = describeObject(object, '->');
  return {
    status,
    objectType: nameText(object.type),
    ...(name === '' ? {} : { objectName: nameText(name) }),
    handles: handles.map(hexadecimal),
    ...(growth === undefined ? {} : { growth }),
    ...(processes === undefined ? {} : { processes: processes.slice(0, 100) }),
    ...(runs === undefined ? {} : { runs: runs.slice(0, 1000) }),
    ...(suppression === undefined ? {} : { suppression: nameText(suppression) }),
  };
}
