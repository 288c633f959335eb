import { describe, expect, it } from 'vitest';
import { type Gap, mayHideFindings } from '../../../src/completeness.ts';
import { spellGap } from '../../../src/report/gaps.ts';

/** Each kind of gap with the sentence for it; a kind that is missing here fails the last test. */
const sentences: readonly (readonly [gap: Gap, sentence: string])[] = [
  [
    { kind: 'interrupted' },
    'The target was interrupted while it ran: the handles that it would have closed later count as open.',
  ],
  [{ kind: 'runs-missing', done: 2, wanted: 5 }, 'Only 2 of 5 runs took place.'],
  [
    { kind: 'no-sections', mark: '\\\\.\\pipe\\done' },
    'No section was begun by \\\\.\\pipe\\done: what sections left open at their ends could not be judged.',
  ],
  [
    { kind: 'sections-forgotten', count: 2 },
    '2 sections were forgotten, because too many had handles on record: a finding may lack its test.',
  ],
  [
    { kind: 'requests-unknown', count: 1 },
    "1 open handle was opened by a thread of libuv's pool, and it is not known which function asked for it.",
  ],
  [
    { kind: 'no-marks', mark: 'Local\\done' },
    'No mark came by Local\\done: growth from iteration to iteration could not be judged.',
  ],
  [
    { kind: 'too-few-marks', iterations: 1, warmUpIterations: 2, needed: 5 },
    '1 iteration was marked, and 5 are needed, 2 of them for the warm-up: growth from iteration to iteration could not be judged.',
  ],
  [
    { kind: 'too-few-marks', iterations: 40, warmUpIterations: 2, needed: 5 },
    '40 iterations were marked, faster than their handles could be counted (a program that waits for the answer to a mark is not too fast): growth from iteration to iteration could not be judged.',
  ],
  [
    { kind: 'marks-joined', iterations: 5_000_000 },
    '5000000 iterations were marked, too many to keep the counts of each: those in the middle are judged in groups, as if their handles had been counted together.',
  ],
  [
    { kind: 'handle-table-lost', why: 'failed-fast' },
    'The target ended by a fast fail (abort, an invalid parameter of the C runtime, a broken stack or heap), which passes no hook: its handle table could not be read, so open handles are those that the recorder knows, without names.',
  ],
  [
    { kind: 'handle-table-lost', why: 'ended-from-outside' },
    'The target was ended from outside or by the kernel: its handle table could not be read, so open handles are those that the recorder knows, without names.',
  ],
  [
    { kind: 'handle-table-lost', why: 'gate-unattended' },
    'The target could not wait for the auditor: its handle table could not be read, so open handles are those that the recorder knows, without names.',
  ],
  [
    { kind: 'calls-unrecognised', names: ['NtClose', 'NtOpenKey'] },
    'Calls of ntdll in an unknown form, perhaps hooked by other software, were not recorded: NtClose, NtOpenKey.',
  ],
  [
    { kind: 'modules-interposed', names: ['guard64.dll'] },
    "Hooks, shims or verifiers stand between the program and Windows, and count as Windows' own: guard64.dll.",
  ],
  [
    { kind: 'functions-unmovable', names: ['msvcrt.dll!_lseek'] },
    'Functions of an unknown form, or with a patch of Windows, were not recorded, nor those that work on the same objects: msvcrt.dll!_lseek.',
  ],
  [
    { kind: 'functions-missed', count: 1 },
    "1 function of Windows' DLLs could not be hooked: a handle that such a function refuses by itself was not seen.",
  ],
  [
    { kind: 'functions-blocked', count: 2 },
    "2 functions of Windows' DLLs could not be hooked, because the process must not change code (Arbitrary Code Guard): a handle that such a function refuses by itself was not seen. Try without the policy ProhibitDynamicCode.",
  ],
  [
    { kind: 'beyond-capacity', count: 7 },
    "7 calls were about handle values beyond the recorder's capacity; try a larger --max-handles.",
  ],
  [{ kind: 'stacks-dropped', count: 1 }, "1 call has no stack: the recorder's room for stacks was full."],
  [{ kind: 'misuses-dropped', count: 2 }, "2 refused calls were not kept: the recorder's room for them was full."],
  [{ kind: 'duplicates-unresolved', count: 3 }, '3 calls named a process that the recorder could not identify.'],
  [
    { kind: 'runtime-objects-dropped', count: 2 },
    "2 descriptors, streams or searches were not followed: the recorder's room for them was full.",
  ],
  [
    { kind: 'quarantine-lost', count: 1 },
    '1 quarantined value was given out again too early: another process put a handle there, or a handle there could not be moved in time. A stale call after that would not have been found.',
  ],
  [
    { kind: 'quarantine-lost', count: 2 },
    '2 quarantined values were given out again too early: other processes put handles there, or handles there could not be moved in time. Stale calls after that would not have been found.',
  ],
  [
    { kind: 'nested-walks', count: 4 },
    '4 calls have a stack of one frame, because the stack walk itself made the call.',
  ],
  [
    { kind: 'swept-dropped', count: 1 },
    "1 handle that the program left for a function like WSACleanup to close was not kept: the recorder's room for them was full.",
  ],
  [
    { kind: 'settled-without-marks' },
    'There was nothing to settle: handles are waited for at marks, and no marks were asked for.',
  ],
  [
    { kind: 'inherited-cut' },
    'Child processes inherited handles that could not all be looked at: there were too many, or other threads changed what is inheritable.',
  ],
  [
    { kind: 'requests-missed', count: 6 },
    "6 functions of libuv could not be hooked in the running process: it is not known which functions asked for what the threads of libuv's pool opened.",
  ],
  [
    { kind: 'functions-missed-at-attach', count: 1 },
    "1 function of Windows' DLLs could not be hooked in the running process, because a thread stood at its beginning or other software had changed it: a handle that such a function refuses by itself was not seen.",
  ],
  [
    { kind: 'process-left', image: 'C:\\work\\server.exe', processes: [48, 52] },
    '2 processes: server.exe went on when the first process had ended: it has its own code back, and what it had open may yet be closed; try --wait-children.',
  ],
  [
    {
      kind: 'process-unrecorded',
      image: 'C:\\work\\old.exe',
      why: 'it is a 32-bit process, which is not audited yet',
      processes: [48],
    },
    'Process 48: old.exe ran unrecorded: it is a 32-bit process, which is not audited yet.',
  ],
  [
    { kind: 'process-skipped', image: 'C:\\work\\helper.exe', processes: [48] },
    'Process 48: helper.exe ran unrecorded, with its children: --skip names it.',
  ],
  [{ kind: 'programs-missing', names: ['worker.exe'] }, 'No process ran a program that --only names: worker.exe.'],
  [
    { kind: 'children-unfollowed', count: 2 },
    '2 child processes were started faster than they could be followed, or by a process without the rights that this takes: they ran unrecorded.',
  ],
  [
    { kind: 'too-few-intervals', intervals: 1, needed: 5 },
    '1 interval was counted, and 5 are needed to judge growth: try a longer --for, or a shorter --every.',
  ],
  [
    { kind: 'watched-for', durationMs: 60_000 },
    'The process goes on, and was watched for 1 min: a leak that takes longer to show was not seen, and a handle that is open may yet be closed.',
  ],
  [
    { kind: 'left-in-target', sizeBytes: 127_000_000 },
    'The process has its own code back, and keeps 122 MiB of address space, through which its threads may still return. The next attach uses it again.',
  ],
  [{ kind: 'open-before', count: 1 }, '1 handle was open before recording began, and still is: it is in no leak.'],
  [
    { kind: 'open-before', count: 2 },
    '2 handles were open before recording began, and still are: they are in no leak.',
  ],
  [
    { kind: 'opened-by-others', count: 1 },
    '1 open handle came from another process, or from a call that was not recorded: it is in no finding.',
  ],
  [
    { kind: 'opened-by-others', count: 2 },
    '2 open handles came from another process, or from calls that were not recorded: they are in no finding.',
  ],
  [
    { kind: 'names-timed-out', count: 1 },
    '1 handle has no name in this report: the question for it did not end in time.',
  ],
];

describe('a gap', () => {
  it.each(sentences)('%o has its sentence', (gap, sentence) => {
    expect(spellGap(gap)).toBe(sentence);
  });

  it('names the runs that it belongs to', () => {
    expect(spellGap({ kind: 'names-timed-out', count: 1, runs: [2] })).toMatch(/^Run 2: 1 handle has no name/);
    expect(spellGap({ kind: 'interrupted', runs: [2, 3] })).toMatch(/^Runs 2, 3: The target was interrupted/);
  });

  it('of every kind is among these', () => {
    expect([...new Set(sentences.map(([{ kind }]) => kind))].toSorted()).toEqual(
      Object.keys(mayHideFindings).toSorted(),
    );
  });
});
