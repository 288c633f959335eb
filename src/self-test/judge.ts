import type { Finding, Report } from '../model.ts';
import { SCRIPT_EXIT_CODE, type Account } from './account.ts';
import { type Fault, faults, type Part } from './faults.ts';

/** One line of the self-test's table. */
export interface Row {
  readonly part: Part | 'clean';
  /** The fault, or the property of the run. */
  readonly words: string;
  readonly expected: string;
  readonly found: string;
  readonly isGood: boolean;
}

/** One run of the script: the report on it, and its own account. */
export interface Run {
  readonly report: Report;
  readonly account: Account;
}

/** The rows for the faults of a part. The child's faults are in the report of its parent. */
export function judgeFaults(part: Part, { report, account }: Run): readonly Row[] {
  return faults
    .filter((fault) => fault.part === part)
    .map((fault) => {
      const finding = report.findings.find((each) => isOf(each, fault, part === 'child', account));
      return {
        part,
        words: fault.words,
        expected: fault.rule,
        found: finding === undefined ? 'nothing' : `${finding.rule}, ${finding.level}`,
        isGood: finding !== undefined,
      };
    });
}

/** The rows for a run of the correct twins: nothing may be said of any of their handles. */
export function judgeClean({ report, account }: Run): readonly Row[] {
  const values = new Set(Object.values(account.values).map(BigInt));
  const accused = report.findings.filter(
    ({ rule, level, handles }) => level !== 'note' && (rule !== 'leak' || handles.some((handle) => values.has(handle))),
  );
  const found = [...new Set(accused.map(({ rule, object }) => `${rule} of ${object.type}`))];
  return [
    {
      part: 'clean',
      words: 'the same calls without the faults',
      expected: 'nothing',
      found: found.length === 0 ? 'nothing' : found.join(', '),
      isGood: found.length === 0,
    },
  ];
}

/** The rows for properties of a run that every program must have. */
export function judgeRun(part: Row['part'], { report: { target, completeness } }: Run): readonly Row[] {
  const gaps = completeness.gaps.map(({ kind }) => kind);
  return [
    {
      part,
      words: 'all that may hold a finding was recorded',
      expected: 'yes',
      found: completeness.complete ? 'yes' : gaps.join(', '),
      isGood: completeness.complete,
    },
    // The report on a process that was left again does not have it.
    ...(part === 'attach' ? [] : [judgeExitCode(part, target.exitCode)]),
  ];
}

/** The row for the exit code of the script. */
export function judgeExitCode(part: Row['part'], exitCode: number | null | undefined): Row {
  return {
    part,
    words: 'the program ends as it does alone',
    expected: `exit code ${SCRIPT_EXIT_CODE}`,
    found: `exit code ${exitCode ?? 'unknown'}`,
    isGood: exitCode === SCRIPT_EXIT_CODE,
  };
}

/** Whether a finding is of a fault: its rule and object, its call, its process, and its very value. */
function isOf(finding: Finding, fault: Fault, isOfChild: boolean, { pid, values }: Account): boolean {
  const value = values[fault.name];
  if (value === undefined || finding.rule !== fault.rule || finding.object.type !== fault.type) return false;
  if (!names(finding, fault.call)) return false;
  const isInProcess = finding.processes?.some((process) => process.pid === pid);
  // A finding of several processes has the values of one of them only.
  return isOfChild ? isInProcess === true : isInProcess !== false && finding.handles.includes(BigInt(value));
}

/** Whether it names the call: in the stack of an opening, and in the sentence of a misuse. */
function names({ rule, stacks, message }: Finding, call: string): boolean {
  if (rule !== 'leak') return message.split(/[ ,]/).includes(call);
  return stacks.opened?.some((frame) => (frame.exported ?? frame.function)?.startsWith(call)) === true;
}
