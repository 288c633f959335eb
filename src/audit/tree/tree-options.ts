import type { RecordingOptions } from '../../agent/inject/recording-options.ts';
import type { Evidence } from '../../evidence-model.ts';
import type { MarkListener } from '../../marks/mark-listener.ts';
import type { JavaScriptLogs } from '../javascript-logs.ts';
import type { CountedProcess, OpenCounts } from '../open-counts.ts';
import type { OpenTimeline } from '../open-timeline.ts';
import type { NameSources } from '../options.ts';
import type { Stops } from '../stops/stops.ts';
import type { ValueWatches } from '../value/value-watches.ts';
import type { Verdict } from './member.ts';
import type { ProcessChoice } from './process-choice.ts';

/** How the processes of a tree are recorded and judged. */
export interface TreeOptions {
  readonly recording: RecordingOptions | undefined;
  readonly names: NameSources;
  /** V8's logs, which children that are Node.js are to keep, too. */
  readonly javaScript?: JavaScriptLogs | undefined;
  readonly choice: ProcessChoice;
  /** The open handles of each process are counted after every interval of so many milliseconds. */
  readonly everyMs?: number | undefined;
  /** How long a count may wait until handles are closed. */
  readonly settleMs?: number | undefined;
  /** Called after each count of a process, and with `undefined` when it has ended. */
  readonly onCounts?: ((process: CountedProcess, counts: OpenCounts | undefined) => void) | undefined;
  /** By which the sections of the work of all processes are known. */
  readonly sectionsOfAll?: MarkListener | undefined;
  /** Counts the open handles of all processes now and then. */
  readonly timeline?: OpenTimeline | undefined;
  /** Applies the rules and the suppressions. */
  readonly judge: (evidence: Evidence) => Verdict;
  /** Stops threads of the processes that the report is of. */
  readonly stops?: Stops | undefined;
  /** Watches a value in the processes that the report is of. */
  readonly values?: ValueWatches | undefined;
}
