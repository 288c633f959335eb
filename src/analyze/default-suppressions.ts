import type { SuppressionLine } from '../model.ts';
import { parseLine, type Suppression } from './suppressions.ts';

/** The source of default suppressions in reports. */
const DEFAULT_SOURCE = 'default';

/**
 * Handles that a program keeps until its end by design, and that no audit can tell from a leak; and a true mistake of
 * the system's shell, which is a process of most trees. The rows are few, and each has its reason, because they hide
 * findings from every user. Seen with Node.js 22 and a program in Rust under Wine 8, the third one with Node.js 26 and
 * the last one with `cmd.exe` under Wine 10.
 */
const rows: readonly (readonly [line: string, reason: string])[] = [
  [
    'leak:type:^Section$;name:\\node-debug-handler-;^node.exe!node::Start$',
    'a debugger finds Node.js by this section for as long as the process lives',
  ],
  [
    'leak:^node.exe!v8::Isolate::Initialize$;^node.exe!node::Start$',
    'the main thread and the semaphore of its isolate are kept when process.exit or an uncaught exception ends Node.js without taking it down',
  ],
  [
    'leak:type:^IoCompletion$;^node.exe!uv_loop_init$;^node.exe!node::Start$',
    'the default loop of libuv lasts as long as Node.js 26',
  ],
  // Its functions have no names in a stripped program; `backtrace-rs` gives the mutex this name and the process's id.
  [
    'leak:type:^Mutant$;name:\\BaseNamedObjects\\RustBacktraceMutex0',
    'the standard library of Rust keeps this lock once it has printed a backtrace, and its name tells it apart',
  ],
  // A cmd.exe of a user's own may have any function but this one: it is a name of Wine's (programs/cmd/wcmdmain.c).
  [
    'wrong-closer:type:^Search$;^cmd.exe!search_in_pathext$',
    'the cmd.exe of Wine 10 makes this mistake by itself, in every tree of processes that has a shell',
  ],
];

/** The suppressions that are in force by default. */
export function defaultSuppressions(): readonly Suppression[] {
  return rows.map(([line, reason], index) => parseLine(`${line} # ${reason}`, DEFAULT_SOURCE, index + 1));
}

/** Whether a line is one of the default ones, which a report lists only on demand. */
export function isDefaultSuppression({ source }: SuppressionLine): boolean {
  return source === DEFAULT_SOURCE;
}
