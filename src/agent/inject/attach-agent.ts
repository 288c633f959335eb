import { setTimeout as sleep } from 'node:timers/promises';

import type { Pauses } from '../../process/guardian/pauses.ts';
import type { Target } from '../../process/target.ts';
import { UserError } from '../../user-error.ts';
import type { Program, Recording } from './recording.ts';

/** How often threads may stand in the way before the agent is put to work all the same, in a place of its own. */
const ATTEMPTS_MAX = 30;

/** How long the process runs before the next attempt: longer each time, for its threads may get no processor. */
function waitMs(attempt: number): number {
  return Math.min(2 ** (attempt - 1), 32);
}

/** Other software goes on changing the code that is to be hooked. */
class RestlessCodeError extends UserError {
  constructor(processId: number) {
    super(
      `Cannot attach to process ${processId}: other software changes the code of ntdll in it again and again. Try without that software.`,
    );
  }
}

interface AttachOptions {
  /** Absent where it is not known where it lies. */
  readonly program: Program | undefined;
  /** Done while the target stands, once the agent is at work. */
  readonly note: () => void;
}

/**
 * Puts the agent into a running process, which stands still meanwhile. Where a thread is in the way, the process runs
 * on for a moment before the next attempt.
 *
 * @throws what {@link Recording.attach} throws
 * @throws StopError or GuardianError when the process cannot be stopped
 */
export async function attachAgent(
  recording: Recording,
  target: Target,
  pauses: Pauses,
  { program, note }: AttachOptions,
): Promise<void> {
  let left = recording.findLeftAgents(target, program && { ...program, path: target.image });
  for (let attempt = 1; ; attempt++) {
    const insists = attempt >= ATTEMPTS_MAX;
    if (insists) left = left.withoutReuse();
    const prepared = recording.prepareAttach(target, left, program?.goCode);
    const isAtWork = pauses.during((stopped) => {
      try {
        if (!recording.attach(target, stopped.awaitStanding(), prepared, { insists, pauses })) return false;
        note();
        return true;
      } catch (error) {
        recording.unhook(target, recording.findLeftAgents(target));
        recording.takeHandlesBack(target);
        throw error;
      }
    });
    if (isAtWork) break;
    if (attempt === 2 * ATTEMPTS_MAX) throw new RestlessCodeError(target.pid);
    await sleep(waitMs(attempt));
  }
}

/**
 * Takes the agent's hooks out of a process. Its memory stays, because threads may still return through it.
 *
 * @throws Win32Error when Windows refuses to write to the target
 * @throws StopError or GuardianError when the process cannot be stopped
 */
export async function detachAgent(recording: Recording, target: Target, pauses: Pauses): Promise<void> {
  const left = recording.findLeftAgents(target);
  for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
    // A thread that was just hooking the functions of a DLL may go on with it.
    const isDrained = pauses.during((stopped) => {
      recording.unhook(target, left);
      return !left.isAnyRecording(target, stopped.awaitStanding());
    });
    if (isDrained) {
      recording.takeHandlesBack(target);
      recording.noteQuiet(target, left);
      return;
    }
    await sleep(waitMs(attempt));
  }
}
