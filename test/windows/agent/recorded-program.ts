import { closeSync, mkdtempSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Recording } from '../../../src/agent/inject/recording.ts';
import type { RecordingOptions } from '../../../src/agent/inject/recording-options.ts';
import { SetHandleInformation, WaitForMultipleObjectsAsync } from '../../../src/ffi/kernel32.ts';
import { type AsHandle, type BorrowedHandle, borrowFile, failed } from '../../../src/io/index.ts';
import { StartedProcess } from '../../../src/process/spawn.ts';
import { HANG_MS } from '../../hang.ts';

const HANDLE_FLAG_INHERIT = 1;

/** How a program ended, and what it wrote to its stdout and stderr. */
export interface EndedProgram {
  readonly exitCode: number | undefined;
  readonly output: string;
}

/**
 * Runs a program with its output in a file, watched by a recording if options for one are given.
 *
 * @param atGate is called when the target stands at the exit gate
 * @param beforeInstall is called when the recording is prepared, and the target as it was made
 */
export async function runProgram(
  program: string,
  args: readonly string[],
  recordingOptions?: RecordingOptions,
  atGate: (recording: Recording) => void = () => {},
  beforeInstall: (target: StartedProcess) => void = () => {},
): Promise<EndedProgram> {
  const folder = mkdtempSync(join(tmpdir(), 'unclosed-agent-'));
  const outputFile = join(folder, 'output.txt');
  const inputFile = join(folder, 'input.txt');
  writeFileSync(inputFile, '');
  const [input, output] = [openSync(inputFile, 'r'), openSync(outputFile, 'w')];
  const said = () => readFileSync(outputFile, 'utf8');
  try {
    const [stdin, stdout] = [inheritable(input), inheritable(output)];
    using target = await StartedProcess.spawn({ program, args, stdin, stdout, stderr: stdout });
    using recording = recordingOptions === undefined ? undefined : await Recording.prepare(recordingOptions);
    beforeInstall(target);
    recording?.install(target);
    target.resume();
    if (recording !== undefined) {
      let arrived = await waitForAny(recording.arrived, target);
      if (arrived === 0 && recording.isEndingThreads) {
        recording.releaseThreadsSeen();
        arrived = await waitForAny(recording.arrived, target);
      }
      if (arrived === 0) atGate(recording);
      recording.release();
      if (arrived !== 0) throw new Error(`${program} did not come to the exit gate (${arrived}): ${said()}`);
    }
    const ended = await waitForAny(target);
    if (ended !== 0) {
      target.terminate();
      throw new Error(`${program} did not end: ${said()}`);
    }
    return { exitCode: target.exitCode(), output: said() };
  } finally {
    closeSync(input);
    closeSync(output);
    // After a crash the system's debugger may hold the output a little longer.
    await rm(folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
  }
}

function inheritable(fileDescriptor: number): BorrowedHandle {
  const handle = borrowFile(fileDescriptor);
  if (!SetHandleInformation(handle.asRawHandle(), HANDLE_FLAG_INHERIT, HANDLE_FLAG_INHERIT))
    throw failed('pass on', 'a file');
  return handle;
}

/** Index of the first that is signalled. */
function waitForAny(...objects: readonly AsHandle[]): Promise<number> {
  const handles = BigInt64Array.from(objects, (object) => object.asHandle().asRawHandle());
  return WaitForMultipleObjectsAsync(handles.length, handles, false, HANG_MS);
}
