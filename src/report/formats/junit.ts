import type { Finding, ProcessPart, ProcessSummary, Report } from '../../model.ts';
import { isAtLeast, type Rule, ruleNames, rules } from '../../rules.ts';
import { cutText } from '../../text/cut.ts';
import { escapeText } from '../../text/escape.ts';
import { drawFinding } from '../finding-view.ts';
import { spellGap } from '../gaps.ts';
import { plural } from '../numbers.ts';
import { baseName } from '../paths.ts';
import type { Reporter, ReportOptions } from '../reporter.ts';
import { listFindings } from '../selection.ts';
import { findPlacesIn, placeFinding, type SourcePlace } from '../source-place.ts';
import type { StackView } from '../stacks/stack-view.ts';
import { createView } from '../view.ts';

/** A test case tells so many stories in full; a report, so many in all. The rest is counted. */
const storiesPerCase = 25;
const storiesMax = 500;

const messageLengthMax = 500;
/** GitLab takes 500,000 test cases, and a tree of more processes than that has other problems. */
const processesMax = 1000;
const gapsMax = 50;

/**
 * JUnit's XML, as Jenkins, GitLab and Azure Pipelines read it (the schema of Jenkins' xUnit plugin, `junit-10.xsd`): a
 * suite for each process, and in it a test case for each rule, which fails when the rule has findings that fail the
 * build. Findings that do not are in the case's output.
 *
 * A test case `completeness` is skipped when the report is incomplete: the others may then have passed for lack of
 * evidence.
 */
export const junit: Reporter = (report, options) => {
  const view: StackView = {
    ...createView(report, { ...options, colorLevel: 0, columns: 100 }),
    brevity: { stackRows: 24, sourceContext: 1, handles: 10 },
  };
  const findPlace = findPlacesIn(options);
  const place = (finding: Finding): SourcePlace | undefined => placeFinding(finding, findPlace);
  const context: Context = { view, place, storiesLeft: storiesMax };
  const suites = suitesOf(report, options).map((suite) => drawSuite(suite, context, options));
  suites[0]!.cases.push(drawCompleteness(report, suites[0]!.classname));
  const all = suites.flatMap(({ cases }) => cases);
  const seconds = (report.stats.durationMs / 1000).toFixed(3);
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites${attributes({ name: report.tool.name, ...countCases(all), time: seconds })}>`,
    ...suites.flatMap(({ name, cases, properties }) => [
      `  <testsuite${attributes({ name, ...countCases(cases), time: seconds })}>`,
      '    <properties>',
      ...properties.map(([key, value]) => `      <property${attributes({ name: key, value })}/>`),
      '    </properties>',
      ...cases.flatMap(({ lines }) => lines),
      '  </testsuite>',
    ]),
    '</testsuites>\n',
  ].join('\n');
};

/** A process, and the findings that it has a part in. */
interface Suite {
  readonly name: string;
  readonly properties: readonly (readonly [string, string])[];
  readonly findings: ReadonlyMap<Rule, readonly Finding[]>;
}

interface Case {
  readonly outcome: 'passed' | 'failed' | 'skipped';
  readonly lines: readonly string[];
}

interface Context {
  readonly view: StackView;
  readonly place: (finding: Finding) => SourcePlace | undefined;
  storiesLeft: number;
}

function suitesOf(report: Report, options: ReportOptions): readonly Suite[] {
  const shown = listFindings(report, options);
  const { processes, target } = report;
  if (processes === undefined || processes.length === 0) {
    const [program = ''] = target.command;
    return [{ name: nameOf(program), properties: propertiesOf(target), findings: groupByRule(shown) }];
  }
  const findingsOf = processes.map((): Finding[] => []);
  for (const finding of shown) {
    const places = (finding.processes ?? []).map((part) => placeOf(part, processes));
    for (const place of places.length === 0 ? [0] : new Set(places)) findingsOf[place]!.push(finding);
  }
  const seen = new Map<string, number>();
  const suites = processes.map((each, place): Suite => {
    // Process ids differ from run to run, and would begin the history of a test case anew.
    const image = nameOf(each.image);
    const nth = (seen.get(image) ?? 0) + 1;
    seen.set(image, nth);
    const name = nth === 1 ? image : `${image} #${nth}`;
    return { name, properties: propertiesOf(each), findings: groupByRule(findingsOf[place]!) };
  });
  // Processes with findings come first where there are too many.
  return suites.length <= processesMax
    ? suites
    : [...suites].sort((a, b) => b.findings.size - a.findings.size).slice(0, processesMax);
}

/** The place of a process; for one of another run, that of the first process of its program, or else of all. */
function placeOf({ index = -1, image }: ProcessPart, processes: readonly ProcessSummary[]): number {
  if (processes[index] !== undefined) return index;
  return Math.max(
    0,
    processes.findIndex((each) => each.image === image),
  );
}

function nameOf(image: string): string {
  return cutText(escapeText(baseName(image)), 200) || 'unknown';
}

function propertiesOf({
  pid,
  exitCode,
}: Pick<ProcessSummary, 'pid' | 'exitCode'>): readonly (readonly [string, string])[] {
  return [['pid', `${pid}`], ...(exitCode === undefined ? [] : [['exitCode', `${exitCode}`] as const])];
}

function groupByRule(findings: readonly Finding[]): ReadonlyMap<Rule, readonly Finding[]> {
  const groups = new Map<Rule, Finding[]>();
  for (const finding of findings) {
    const group = groups.get(finding.rule);
    if (group === undefined) groups.set(finding.rule, [finding]);
    else group.push(finding);
  }
  return groups;
}

function drawSuite(
  { name, properties, findings }: Suite,
  context: Context,
  options: ReportOptions,
): { readonly name: string; readonly classname: string; readonly properties: Suite['properties']; cases: Case[] } {
  const classname = `unclosed.${name}`;
  const cases = ruleNames.map((rule) => drawCase(rule, classname, findings.get(rule) ?? [], context, options));
  return { name, classname, properties, cases };
}

function drawCase(
  rule: Rule,
  classname: string,
  findings: readonly Finding[],
  context: Context,
  { failOn = 'warning' }: ReportOptions,
): Case {
  const fails = ({ status, level }: Finding): boolean =>
    failOn !== 'never' && status === 'new' && isAtLeast(level, failOn);
  const failing = findings.filter(fails);
  const others = findings.filter((finding) => !fails(finding));
  const [worst] = failing;
  const { path, line } = (worst === undefined ? undefined : context.place(worst)) ?? {};
  const file = path === undefined ? undefined : escapeText(path);
  const names = { name: rule, classname, time: '0', file, line: line?.toString() };
  const content: string[] = [];
  if (worst !== undefined) {
    const more = failing.length === 1 ? '' : ` (+ ${failing.length - 1} more)`;
    const message = `${cutText(escapeText(worst.message), messageLengthMax)}${more}`;
    content.push(element('failure', { message, type: rules[rule].title }, tell(failing, context)));
  }
  if (others.length > 0) content.push(element('system-out', {}, tell(others, context)));
  const outcome = worst === undefined ? 'passed' : 'failed';
  return { outcome, lines: wrapCase(names, content) };
}

/** The stories of findings, the worst first. */
function tell(findings: readonly Finding[], context: Context): string {
  const told = findings.slice(0, Math.min(storiesPerCase, context.storiesLeft));
  context.storiesLeft -= told.length;
  const left = findings.length - told.length;
  return [
    ...told.map((finding) => drawFinding(finding, 0, context.view).join('\n')),
    ...(left === 0 ? [] : [`${plural(left, told.length === 0 ? 'finding' : 'more finding')}: see the JSON report.`]),
  ].join('\n\n');
}

function drawCompleteness({ completeness: { complete, gaps } }: Report, classname: string): Case {
  const sentences = gaps.slice(0, gapsMax).map((gap) => cutText(escapeText(spellGap(gap)), messageLengthMax));
  if (gaps.length > gapsMax) sentences.push(`${gaps.length - gapsMax} more.`);
  const content = complete
    ? []
    : [element('skipped', { message: 'The report is incomplete: what could not be seen may hide findings.' })];
  if (sentences.length > 0) content.push(element('system-out', {}, sentences.join('\n')));
  const names = { name: 'completeness', classname, time: '0' };
  return { outcome: complete ? 'passed' : 'skipped', lines: wrapCase(names, content) };
}

function wrapCase(names: Attributes, content: readonly string[]): readonly string[] {
  if (content.length === 0) return [`    <testcase${attributes(names)}/>`];
  return [`    <testcase${attributes(names)}>`, ...content, '    </testcase>'];
}

function countCases(cases: readonly Case[]): Attributes {
  const count = (wanted: Case['outcome']): string => `${cases.filter(({ outcome }) => outcome === wanted).length}`;
  return { tests: `${cases.length}`, failures: count('failed'), errors: '0', skipped: count('skipped') };
}

type Attributes = Readonly<Record<string, string | undefined>>;

function element(name: string, given: Attributes, text?: string): string {
  const start = `      <${name}${attributes(given)}`;
  return text === undefined ? `${start}/>` : `${start}>${escapeXml(text)}</${name}>`;
}

function attributes(given: Attributes): string {
  return Object.entries(given)
    .flatMap(([name, value]) => (value === undefined ? [] : [` ${name}="${escapeXml(value)}"`]))
    .join('');
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
};

/**
 * Text of an element or an attribute. A character that XML 1.0 has no way to write becomes U+FFFD: names are escaped
 * before, as on a terminal, so that none is left where they are shown.
 */
function escapeXml(text: string): string {
  return text
    .replace(/[&<>"]/g, (character) => entities[character]!)
    .replace(/[^\t\n\r\u{20}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/gu, '\ufffd');
}
