import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import type { SnapshotDiff } from '../../../src/snapshot/diff.ts';
import { diffSnapshots } from '../../../src/snapshot/diff.ts';
import {
  compareValues,
  type SnapshotHandle,
  type SnapshotProcess,
  writeHandle,
  writeHeader,
  writeProcess,
  writeTrailer,
} from '../../../src/snapshot/format.ts';
import { SnapshotReader } from '../../../src/snapshot/read.ts';

export type ProcessWithHandles = SnapshotProcess & { readonly handles: readonly SnapshotHandle[] };

/** The text of a snapshot of these processes. */
export function snapshotText(processes: readonly ProcessWithHandles[]): string {
  const parts = [writeHeader({ tool: 'unclosed test', host: 'HOST', taken: '2026-01-01T00:00:00.000Z' })];
  let handleCount = 0;
  processes.forEach(({ handles, ...process }, index) => {
    parts.push(writeProcess(process, index === 0));
    handles
      .toSorted((a, b) => compareValues(a.value, b.value))
      .forEach((handle, at) => parts.push(writeHandle(handle, at === handles.length - 1)));
    handleCount += handles.length;
  });
  return parts.join('') + writeTrailer({ handleCount, namesMissing: 0 }, processes.length > 0);
}

/** A directory for the snapshots of one test. */
export class SnapshotFolder implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), 'unclosed-snapshot-'));
  #count = 0;

  write(content: string | Uint8Array): string {
    const file = join(this.path, `${this.#count++}.json`);
    writeFileSync(file, content);
    return file;
  }

  diff(
    before: readonly ProcessWithHandles[],
    after: readonly ProcessWithHandles[],
    exampleCount: number = 10,
  ): SnapshotDiff {
    return diffFiles(this.write(snapshotText(before)), this.write(snapshotText(after)), exampleCount);
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

export function diffFiles(before: string, after: string, exampleCount: number = 10): SnapshotDiff {
  using a = new SnapshotReader(before);
  using b = new SnapshotReader(after);
  return diffSnapshots(a, b, exampleCount);
}

/** Everything in a file, as the reader gives it. */
export function readAll(file: string): readonly ProcessWithHandles[] {
  using reader = new SnapshotReader(file);
  const processes: ProcessWithHandles[] = [];
  for (let process = reader.nextProcess(); process !== undefined; process = reader.nextProcess()) {
    const handles: SnapshotHandle[] = [];
    for (let line = reader.nextLine(); line !== undefined; line = reader.nextLine()) {
      reader.valueOf(line);
      handles.push(reader.decodeHandle(line));
    }
    processes.push({ ...process, handles });
  }
  return processes;
}
