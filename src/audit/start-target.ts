import type { AuditorEvents } from '../agent/inject/auditor-events.ts';
import { Recording } from '../agent/inject/recording.ts';
import type { RecordingOptions } from '../agent/inject/recording-options.ts';
import { HandleTable } from '../handles/enumerate.ts';
import { MARK_VARIABLE } from '../marks/mark.ts';
import type { MarkName } from '../marks/mark-name.ts';
import { type SpawnOptions, StartedProcess } from '../process/spawn.ts';

/** A program that was started, suspended, and a recording that is ready for it; to be disposed of together. */
interface PreparedTarget extends Disposable {
  readonly target: StartedProcess;
  readonly recording: Recording;
}

/**
 * Starts a program suspended and prepares the recording meanwhile, which takes about as long.
 *
 * @param mark the pipe that the target learns of by its environment
 * @throws what either of them throws; nothing of the other is left then
 */
export async function startTarget(
  spawn: SpawnOptions,
  options: RecordingOptions | undefined,
  mark: MarkName | undefined,
  events: AuditorEvents,
): Promise<PreparedTarget> {
  const starting = withMarkVariable(mark, () => StartedProcess.spawn(spawn));
  const [target, recording] = await Promise.allSettled([starting, prepareRecording(options, events)]);
  const dispose = (): void => {
    using _target = target.status === 'fulfilled' ? target.value : undefined;
    using _recording = recording.status === 'fulfilled' ? recording.value : undefined;
  };
  if (target.status === 'fulfilled' && recording.status === 'fulfilled')
    return { target: target.value, recording: recording.value, [Symbol.dispose]: dispose };
  dispose();
  throw target.status === 'rejected' ? target.reason : (recording as PromiseRejectedResult).reason;
}

async function prepareRecording(options: RecordingOptions | undefined, events: AuditorEvents): Promise<Recording> {
  HandleTable.learnTypeNames(); // which else the target would have to wait for
  return await Recording.prepare(options, events);
}

/**
 * Calls `spawn` while our environment names the pipe. A spawn copies the environment before it returns, so another
 * audit at the same time never sees the name.
 */
function withMarkVariable<Result>(mark: MarkName | undefined, spawn: () => Result): Result {
  if (mark?.kind !== 'pipe') return spawn();
  const before = process.env[MARK_VARIABLE];
  process.env[MARK_VARIABLE] = mark.name;
  try {
    return spawn();
  } finally {
    if (before === undefined) delete process.env[MARK_VARIABLE];
    else process.env[MARK_VARIABLE] = before;
  }
}
