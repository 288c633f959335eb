import type { Rule } from '../model.ts';

/**
 * The faults that the self-test's script commits, as data. A name is the key in what the script writes about itself;
 * `commit.ts` has the code.
 */

/** The parts of the self-test. Each audits a run of the script; `child` is the child process of the run `faults`. */
export type Part = 'faults' | 'child' | 'quarantine' | 'attach';

/** A fault, and the finding that it must become. */
export interface Fault {
  readonly name: string;
  readonly part: Part;
  readonly rule: Rule;
  /** Type of the object in the finding. */
  readonly type: string;
  /**
   * The function that the finding must name: the wrong call, or how the name of the one begins that opened a leaked
   * handle. Windows' CreateEventW may go on to CreateEventExW and leave no frame.
   */
  readonly call: string;
  /** The object, and what is done with it, for a person. */
  readonly words: string;
}

function faultsOf(part: Part, ...rows: readonly (readonly [string, Rule, string, string, string])[]): readonly Fault[] {
  return rows.map(([name, rule, type, call, words]) => ({ part, name, rule, type, call, words }));
}

export const faults: readonly Fault[] = [
  ...faultsOf(
    'faults',
    ['event-leak', 'leak', 'Event', 'CreateEvent', 'an event stays open'],
    ['file-leak', 'leak', 'File', 'CreateFile', 'a file stays open'],
    ['pipe-leak', 'leak', 'File', 'CreatePipe', 'one end of a pipe stays open'],
    ['socket-leak', 'leak', 'Socket', 'WSASocket', 'a socket stays open'],
    ['key-leak', 'leak', 'Key', 'RegOpenKey', 'a registry key stays open'],
    ['thread-leak', 'leak', 'Thread', 'Create', 'a thread has ended, and its handle stays open'],
    ['descriptor-leak', 'leak', 'File', 'CreateFile', 'a descriptor of the C runtime stays open'],
    ['event-double', 'double-close', 'Event', 'CloseHandle', 'an event is closed twice'],
    ['file-double', 'double-close', 'File', 'CloseHandle', 'a file is closed twice'],
    ['pipe-double', 'double-close', 'File', 'CloseHandle', 'one end of a pipe is closed twice'],
    ['socket-double', 'double-close', 'Socket', 'closesocket', 'a socket is closed twice'],
    ['key-double', 'double-close', 'Key', 'RegCloseKey', 'a registry key is closed twice'],
    ['thread-double', 'double-close', 'Thread', 'CloseHandle', 'a thread is closed twice'],
    ['descriptor-double', 'double-close', 'Descriptor', '_close', 'a descriptor is closed twice'],
    ['event-use', 'use-after-close', 'Event', 'SetEvent', 'a closed event is set'],
    ['socket-use', 'use-after-close', 'Socket', 'listen', 'a closed socket is used'],
    ['socket-by-handle', 'wrong-closer', 'Socket', 'CloseHandle', 'a socket is closed by CloseHandle'],
    ['event-protected', 'protected-close', 'Event', 'CloseHandle', 'a protected event is closed'],
    ['value-close', 'invalid-close', 'Unknown', 'CloseHandle', 'a value is closed that never was a handle'],
    ['value-use', 'invalid-use', 'Unknown', 'SetEvent', 'a value is used that never was a handle'],
    ['mutant-as-event', 'wrong-type', 'Mutant', 'SetEvent', 'a mutex is set as if it were an event'],
    ['event-inherited', 'inherited', 'Event', 'CreateProcessW', 'a child process inherits an event'],
  ),
  // Findings of two processes are joined where they are alike, so the child's are of a type of their own.
  ...faultsOf(
    'child',
    ['child-leak', 'leak', 'Mutant', 'CreateMutex', 'a mutex stays open'],
    ['child-double', 'double-close', 'Mutant', 'CloseHandle', 'a mutex is closed twice'],
  ),
  ...faultsOf(
    'quarantine',
    ['stale-close', 'stale-close', 'Event', 'CloseHandle', 'a value is closed that means another event'],
    ['stale-use', 'stale-use', 'Event', 'SetEvent', 'a value is used that means another event'],
  ),
  ...faultsOf(
    'attach',
    ['attach-double', 'double-close', 'Event', 'CloseHandle', 'an event is closed twice'],
    ['attach-use', 'use-after-close', 'Event', 'SetEvent', 'a closed event is set'],
  ),
];
