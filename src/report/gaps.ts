import type { Completeness, CountedGap, Gap, NamingGap } from '../completeness.ts';
import { spellDuration } from '../text/duration.ts';
import { plural } from './numbers.ts';
import { baseName } from './paths.ts';

/** The heading of a list of gaps. */
export function spellCompleteness({ complete }: Completeness): string {
  return complete ? 'To know:' : 'Incomplete: this could not be seen and may hide findings:';
}

/** The sentence for a gap: its meaning for the report, after the runs that it belongs to. */
export function spellGap(gap: Gap): string {
  const sentence = `${spellProcesses(gap)}${spellContent(gap)}`;
  if (gap.runs === undefined) return sentence;
  return `${gap.runs.length === 1 ? 'Run' : 'Runs'} ${gap.runs.join(', ')}: ${sentence}`;
}

/** `Process 48: `, `5 processes: `, or nothing. */
function spellProcesses({ processes }: Gap): string {
  if (processes === undefined) return '';
  return processes.length === 1 ? `Process ${processes[0]}: ` : `${processes.length} processes: `;
}

function spellContent(gap: Gap): string {
  switch (gap.kind) {
    case 'interrupted':
      return 'The target was interrupted while it ran: the handles that it would have closed later count as open.';
    case 'runs-missing':
      return `Only ${gap.done} of ${gap.wanted} runs took place.`;
    case 'no-marks':
      return `No mark came by ${gap.mark}: growth from iteration to iteration could not be judged.`;
    case 'no-sections':
      return `No section was begun by ${gap.mark}: what sections left open at their ends could not be judged.`;
    case 'too-few-marks':
      return spellTooFewMarks(gap);
    case 'process-left':
      return `${baseName(gap.image)} went on when the first process had ended: it has its own code back, and what it had open may yet be closed; try --wait-children.`;
    case 'process-unrecorded':
      return `${baseName(gap.image)} ran unrecorded: ${gap.why}.`;
    case 'process-skipped':
      return `${baseName(gap.image)} ran unrecorded, with its children: --skip names it.`;
    case 'too-few-intervals':
      return `${plural(gap.intervals, 'interval was', 'intervals were')} counted, and ${gap.needed} are needed to judge growth: try a longer --for, or a shorter --every.`;
    case 'watched-for':
      return `The process goes on, and was watched for ${spellDuration(gap.durationMs)}: a leak that takes longer to show was not seen, and a handle that is open may yet be closed.`;
    case 'left-in-target':
      return `The process has its own code back, and keeps ${Math.ceil(gap.sizeBytes / 2 ** 20)} MiB of address space, through which its threads may still return. The next attach uses it again.`;
    case 'marks-joined':
      return `${gap.iterations} iterations were marked, too many to keep the counts of each: those in the middle are judged in groups, as if their handles had been counted together.`;
    case 'handle-table-lost':
      return `The target ${whyLost[gap.why]}: its handle table could not be read, so open handles are those that the recorder knows, without names.`;
    case 'settled-without-marks':
      return 'There was nothing to settle: handles are waited for at marks, and no marks were asked for.';
    case 'inherited-cut':
      return 'Child processes inherited handles that could not all be looked at: there were too many, or other threads changed what is inheritable.';
    default:
      return 'names' in gap ? naming[gap.kind](gap.names.join(', ')) : counting[gap.kind](gap.count);
  }
}

const whyLost = {
  'gate-unattended': 'could not wait for the auditor',
  'failed-fast':
    'ended by a fast fail (abort, an invalid parameter of the C runtime, a broken stack or heap), which passes no hook',
  'ended-from-outside': 'was ended from outside or by the kernel',
} as const;

const naming: Readonly<Record<NamingGap, (names: string) => string>> = {
  'calls-unrecognised': (names) =>
    `Calls of ntdll in an unknown form, perhaps hooked by other software, were not recorded: ${names}.`,
  'functions-unmovable': (names) =>
    `Functions of an unknown form, or with a patch of Windows, were not recorded, nor those that work on the same objects: ${names}.`,
  'modules-interposed': (names) =>
    `Hooks, shims or verifiers stand between the program and Windows, and count as Windows' own: ${names}.`,
  'programs-missing': (names) => `No process ran a program that --only names: ${names}.`,
};

const counting: Readonly<Record<CountedGap, (count: number) => string>> = {
  'functions-missed': (n) =>
    `${plural(n, "function of Windows' DLLs", "functions of Windows' DLLs")} could not be hooked: a handle that such a function refuses by itself was not seen.`,
  'functions-blocked': (n) =>
    `${plural(n, "function of Windows' DLLs", "functions of Windows' DLLs")} could not be hooked, because the process must not change code (Arbitrary Code Guard): a handle that such a function refuses by itself was not seen. Try without the policy ProhibitDynamicCode.`,
  'functions-missed-at-attach': (n) =>
    `${plural(n, "function of Windows' DLLs", "functions of Windows' DLLs")} could not be hooked in the running process, because a thread stood at its beginning or other software had changed it: a handle that such a function refuses by itself was not seen.`,
  'beyond-capacity': (n) =>
    `${plural(n, 'call was', 'calls were')} about handle values beyond the recorder's capacity; try a larger --max-handles.`,
  'stacks-dropped': (n) => `${plural(n, 'call has', 'calls have')} no stack: the recorder's room for stacks was full.`,
  'misuses-dropped': (n) =>
    `${plural(n, 'refused call was', 'refused calls were')} not kept: the recorder's room for them was full.`,
  'duplicates-unresolved': (n) => `${plural(n, 'call', 'calls')} named a process that the recorder could not identify.`,
  'runtime-objects-dropped': (n) =>
    `${plural(n, 'descriptor, stream or search was', 'descriptors, streams or searches were')} not followed: the recorder's room for them was full.`,
  'quarantine-lost': (n) =>
    n === 1
      ? '1 quarantined value was given out again too early: another process put a handle there, or a handle there could not be moved in time. A stale call after that would not have been found.'
      : `${n} quarantined values were given out again too early: other processes put handles there, or handles there could not be moved in time. Stale calls after that would not have been found.`,
  'nested-walks': (n) =>
    `${plural(n, 'call has', 'calls have')} a stack of one frame, because the stack walk itself made the call.`,
  'swept-dropped': (n) =>
    `${plural(n, 'handle', 'handles')} that the program left for a function like WSACleanup to close ${n === 1 ? 'was' : 'were'} not kept: the recorder's room for them was full.`,
  'open-before': (n) =>
    `${plural(n, 'handle was open before recording began, and still is: it is in no leak', 'handles were open before recording began, and still are: they are in no leak')}.`,
  'children-unfollowed': (n) =>
    `${plural(n, 'child process was', 'child processes were')} started faster than they could be followed, or by a process without the rights that this takes: they ran unrecorded.`,
  'opened-by-others': (n) =>
    n === 1
      ? '1 open handle came from another process, or from a call that was not recorded: it is in no finding.'
      : `${n} open handles came from another process, or from calls that were not recorded: they are in no finding.`,
  'sections-forgotten': (n) =>
    `${plural(n, 'section was', 'sections were')} forgotten, because too many had handles on record: a finding may lack its test.`,
  'requests-missed': (n) =>
    `${plural(n, 'function of libuv', 'functions of libuv')} could not be hooked in the running process: it is not known which functions asked for what the threads of libuv's pool opened.`,
  'requests-unknown': (n) =>
    `${plural(n, 'open handle was', 'open handles were')} opened by a thread of libuv's pool, and it is not known which function asked for ${n === 1 ? 'it' : 'them'}.`,
  'names-timed-out': (n) =>
    `${plural(n, 'handle has', 'handles have')} no name in this report: the question for it did not end in time.`,
};

function spellTooFewMarks({ iterations, warmUpIterations, needed }: Extract<Gap, { kind: 'too-few-marks' }>): string {
  const marked = plural(iterations, 'iteration was', 'iterations were');
  const why =
    iterations >= needed
      ? 'faster than their handles could be counted (a program that waits for the answer to a mark is not too fast)'
      : `and ${needed} are needed, ${warmUpIterations} of them for the warm-up`;
  return `${marked} marked, ${why}: growth from iteration to iteration could not be judged.`;
}
