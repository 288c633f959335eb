/**
 * Every rule once: its name, its levels and its words. Suppressions, views and the documentation's test take them from
 * here. The function that checks a rule is in `analyze/rules/`, in the file of the rule's name.
 */

/** How bad a finding is: docs/findings.md. */
export type Level = 'error' | 'warning' | 'note';

/** Rule names are public: they stand in reports, suppressions and the documentation. */
export type Rule =
  | 'leak'
  | 'double-close'
  | 'stale-close'
  | 'use-after-close'
  | 'stale-use'
  | 'invalid-close'
  | 'invalid-use'
  | 'wrong-closer'
  | 'wrong-type'
  | 'protected-close'
  | 'inherited';

/** The words and properties of a rule that views show. */
interface RuleDescription {
  /** The levels that its findings may have, the worst first. */
  readonly levels: readonly [Level, ...Level[]];
  /** A few words without a full stop. */
  readonly title: string;
  /** One plain sentence: what happened. */
  readonly description: string;
  /** Markdown: what a finding means. */
  readonly meaning: string;
  /** Markdown: why it matters. */
  readonly consequence: string;
  /** Markdown: how to fix it. */
  readonly remedy: string;
  /** Its section in the documentation, from the root of the package. */
  readonly documentation: `docs/findings.md#${string}`;
  /** The unit of a finding's count. */
  readonly counts: 'handles' | 'calls';
  /** Headings of the stacks in a report for people; `opened` is the same for all rules. */
  readonly stackLabels: { readonly offending: string; readonly closed: string };
}

/** The rules, in the order of the documentation. */
export const rules: Readonly<Record<Rule, RuleDescription>> = {
  leak: {
    levels: ['error', 'warning', 'note'],
    title: 'Leaked handle',
    description: 'The program opened a handle and did not close it.',
    meaning:
      'The handle, socket, descriptor or `FILE` was still open at the end of the program, or at the moment at which the audit looked; or the program had left it for a function like `WSACleanup` to close.',
    consequence:
      'An open handle keeps its object alive: a file stays locked, a port stays bound, an ended process keeps its memory. A program that runs for a long time runs out of them.',
    remedy:
      'Close it on every path, the early returns first. Let a scope own it: `wil::unique_handle` in C++, `OwnedHandle` in Rust, `using` with `unclosed/io` in TypeScript. Where the report shows that other handles of the site are closed, compare the two paths.',
    documentation: 'docs/findings.md#leak',
    counts: 'handles',
    stackLabels: { offending: '', closed: '' },
  },
  'double-close': {
    levels: ['error', 'note'],
    title: 'Handle closed twice',
    description: 'A call closed a handle that was already closed.',
    meaning: 'The value had been opened and closed before. The second close failed.',
    consequence:
      'Windows gives values out again. The second close fails only until the value is given out again; then it closes a file or socket of other code.',
    remedy:
      'Give the handle one owner. Where ownership moves, leave NULL or INVALID_HANDLE_VALUE behind. `--quarantine` shows whether the first or the second close is wrong.',
    documentation: 'docs/findings.md#double-close',
    counts: 'calls',
    stackLabels: { offending: 'closed again at', closed: 'first closed at' },
  },
  'stale-close': {
    levels: ['error', 'warning', 'note'],
    title: 'Stale handle closed',
    description: 'A call closed an old value that meant another object by then.',
    meaning:
      'The value had been closed, and other handles had been opened since. With `--quarantine` the call was refused, and the finding is certain. Without it, the call closed the handle that had the value by then: its owner was refused later, and the report says which code had probably closed it.',
    consequence: 'The call does not fail. It closes a file or socket of other code, which breaks later and elsewhere.',
    remedy: 'Give the handle one owner. Look for a copy of the handle that was kept after its close.',
    documentation: 'docs/findings.md#stale-close-and-stale-use',
    counts: 'calls',
    stackLabels: { offending: 'closed again at', closed: 'first closed at' },
  },
  'stale-use': {
    levels: ['error', 'note'],
    title: 'Stale handle used',
    description: 'A call used an old value that would then have meant another object (only with --quarantine).',
    meaning:
      'The value had been closed, and other handles had been opened since. The quarantine refused the call; without it, the call would have reached one of them.',
    consequence: 'The call does not fail. It sets an event or writes into a file of other code.',
    remedy: 'Give the handle one owner. Look for a copy of the handle that was kept after its close.',
    documentation: 'docs/findings.md#stale-close-and-stale-use',
    counts: 'calls',
    stackLabels: { offending: 'used at', closed: 'closed at' },
  },
  'use-after-close': {
    levels: ['error', 'note'],
    title: 'Handle used after its close',
    description: 'A call used a handle that was already closed.',
    meaning: 'The value had been opened and closed before. The call failed.',
    consequence:
      'It fails today. Tomorrow the value belongs to another object, and the data goes into a file of other code.',
    remedy:
      'Close last: stop the threads that use the handle and cancel its I/O (`CancelIoEx`, then wait), then close it.',
    documentation: 'docs/findings.md#use-after-close',
    counts: 'calls',
    stackLabels: { offending: 'used at', closed: 'closed at' },
  },
  'invalid-close': {
    levels: ['warning', 'note'],
    title: 'Invalid value closed',
    description: 'A call closed a value that was never an open handle.',
    meaning:
      'The value may be an uninitialised variable, a handle cut to 32 bits, or a socket or pointer in place of a handle.',
    consequence: 'The right handle stays open, and the wrong value may belong to an object another time.',
    remedy:
      'Initialise a handle to the value that means "none" for its kind (NULL, INVALID_HANDLE_VALUE for `CreateFileW`, INVALID_SOCKET for sockets), and check for that value before closing.',
    documentation: 'docs/findings.md#invalid-close',
    counts: 'calls',
    stackLabels: { offending: 'closed at', closed: 'closed at' },
  },
  'invalid-use': {
    levels: ['warning', 'note'],
    title: 'Invalid value used',
    description: 'A call used a value that was never an open handle.',
    meaning: 'Often the call that should have opened the handle failed, and the program did not notice.',
    consequence: 'The call does nothing, and the program may take it for done.',
    remedy:
      'Check the result of the call that should have opened the handle: `CreateFileW` returns INVALID_HANDLE_VALUE on failure, most others return NULL.',
    documentation: 'docs/findings.md#invalid-use',
    counts: 'calls',
    stackLabels: { offending: 'used at', closed: 'closed at' },
  },
  'wrong-closer': {
    levels: ['error', 'warning', 'note'],
    title: 'Closed by the wrong function',
    description: 'A call closed an object with the function for another kind of object.',
    meaning:
      'An open handle, socket, registry key, descriptor, `FILE`, search or pseudo console was given to a function that closes another kind: `_close` a handle, `CloseHandle` a socket. It may have been closed, have stayed open, or have crashed the call.',
    consequence:
      'An object that was refused stays open. `CloseHandle` closes the handle of the kernel and nothing that Winsock or the C runtime keeps for it. Their data then refers to the next object that gets the value.',
    remedy:
      'Call `CloseHandle` for handles, `closesocket` for sockets, `RegCloseKey` for keys, `_close` for descriptors, `fclose` for `FILE`s, `FindClose` for searches, `FindCloseChangeNotification` for change notifications and `ClosePseudoConsole` for pseudo consoles.',
    documentation: 'docs/findings.md#wrong-closer',
    counts: 'calls',
    stackLabels: { offending: 'given to the wrong closer at', closed: 'closed at' },
  },
  'wrong-type': {
    levels: ['warning', 'note'],
    title: 'Handle of the wrong type',
    description: 'A call was given a handle to an object of the wrong type.',
    meaning: 'The handle is open, but the call does not fit its object: `SetEvent` with a file, for example.',
    consequence: 'The call does nothing, and the object that was meant does not get it.',
    remedy:
      'Look for two variables that were mixed up, or for a handle that was closed and whose value came back as another object.',
    documentation: 'docs/findings.md#wrong-type',
    counts: 'calls',
    stackLabels: { offending: 'used at', closed: 'closed at' },
  },
  'protected-close': {
    levels: ['warning', 'note'],
    title: 'Protected handle closed',
    description: 'A call tried to close a handle that is protected from close.',
    meaning:
      'The handle has HANDLE_FLAG_PROTECT_FROM_CLOSE (`SetHandleInformation`). The kernel refused the close, and the handle stayed open.',
    consequence: 'The handle leaks, or the code that closes it does not own it.',
    remedy: 'Let the code that protected the handle remove the protection and close it.',
    documentation: 'docs/findings.md#protected-close',
    counts: 'calls',
    stackLabels: { offending: 'refused at', closed: 'closed at' },
  },
  inherited: {
    levels: ['warning', 'note'],
    title: 'Handle inherited by accident',
    description: 'A process inherited a handle that its parent had not named to it.',
    meaning:
      'The handle was inheritable while a process was started that inherits handles. The process is a child of the program, or the program itself.',
    consequence:
      'The object lives as long as the child: a file stays locked, a pipe never ends, a port stays bound after its server has gone.',
    remedy:
      'Open as inheritable only what a child is to have. Name those handles in PROC_THREAD_ATTRIBUTE_HANDLE_LIST, or pass FALSE for bInheritHandles.',
    documentation: 'docs/findings.md#inherited',
    counts: 'handles',
    stackLabels: { offending: 'child started at', closed: 'closed at' },
  },
};

/** The names, in the order of {@link rules}. */
export const ruleNames: readonly Rule[] = Object.keys(rules) as Rule[];

/** Whether there is a rule of that name. */
export function isRuleName(name: string): name is Rule {
  return Object.hasOwn(rules, name);
}

/** The help text of a rule in Markdown: what a finding means, why it matters, how to fix it. */
export function helpOf(rule: Rule): string {
  const { meaning, consequence, remedy } = rules[rule];
  return `**What it means.** ${meaning}\n\n**Why it matters.** ${consequence}\n\n**How to fix it.** ${remedy}\n`;
}

const ranks: Readonly<Record<Level, number>> = { error: 0, warning: 1, note: 2 };

/** For sorting: the worst level first. */
export function compareLevels(a: Level, b: Level): number {
  return ranks[a] - ranks[b];
}

/** Whether a level is as bad as another, or worse. */
export function isAtLeast(level: Level, least: Level): boolean {
  return compareLevels(level, least) <= 0;
}
