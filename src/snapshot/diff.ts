import type { SnapshotHandle, SnapshotHeader, SnapshotProcess } from './format.ts';
import { compareValues } from './format.ts';
import { generaliseName, generaliseSocket } from './name-pattern.ts';
import type { SnapshotReader } from './read.ts';

/** Handles of one kind: of one type, and with names of one pattern. */
export interface HandleKind {
  readonly type: string;
  /** See {@link generaliseName}; empty for handles without a name. */
  readonly pattern: string;
}

/** A handle of one of the two snapshots, with its process. */
export interface DiffHandle extends SnapshotHandle {
  readonly pid: number;
}

/** The changes of the handles of one kind. */
export interface KindChange extends HandleKind {
  /** Handles in the second snapshot that are not in the first, with recycled values. */
  readonly opened: number;
  /** Handles in the first snapshot that are not in the second, with recycled values. */
  readonly closed: number;
  /** {@link opened} less {@link closed}. */
  readonly growth: number;
  /** Examples, by process and value. */
  readonly openedExamples: readonly DiffHandle[];
  readonly closedExamples: readonly DiffHandle[];
}

/** Values that belong to other objects than before: each was closed and opened again. */
export interface RecycledValues {
  readonly from: HandleKind;
  readonly to: HandleKind;
  readonly count: number;
  readonly examples: readonly HandlePair[];
}

/** One value in both snapshots. */
export interface HandlePair {
  readonly before: DiffHandle;
  readonly after: DiffHandle;
}

interface TypeChange {
  readonly type: string;
  readonly before: number;
  readonly after: number;
  readonly growth: number;
}

/** One of the two snapshots, without its handles. */
export interface DiffSide extends SnapshotHeader {
  readonly file: string;
  readonly handleCount: number;
  readonly namesMissing: number;
  readonly processCount: number;
}

/** The changes between two snapshots. */
export interface SnapshotDiff {
  readonly before: DiffSide;
  readonly after: DiffSide;
  readonly opened: number;
  readonly closed: number;
  /** These count in {@link opened} and in {@link closed}, too. */
  readonly recycled: number;
  /** Handles of the same object whose attributes, name or state changed. */
  readonly changed: number;
  readonly growth: number;
  /** Processes of the second snapshot that are not in the first: their handles count as opened. */
  readonly startedProcesses: readonly SnapshotProcess[];
  /** Processes of the first snapshot that are not in the second: their handles count as closed. */
  readonly endedProcesses: readonly SnapshotProcess[];
  /** Types whose number changed, or of which some handles were opened or closed. The most grown first. */
  readonly types: readonly TypeChange[];
  /** The most grown first. */
  readonly kinds: readonly KindChange[];
  /** The most frequent first. */
  readonly recycledValues: readonly RecycledValues[];
  readonly changedExamples: readonly HandlePair[];
}

/**
 * Compares two snapshots in one pass over both. It keeps nothing of handles that are the same. It counts the others by
 * kind, and keeps `exampleCount` examples of each.
 *
 * A snapshot has no number that identifies an object. A value counts as recycled when its type, access or name differs,
 * because the type and access of a handle never change. An unnamed event that was closed and opened again with the same
 * value looks like one that stayed open. A pid belongs to another process if the start time differs.
 *
 * @throws SnapshotError when one of them is damaged
 */
export function diffSnapshots(before: SnapshotReader, after: SnapshotReader, exampleCount: number): SnapshotDiff {
  const diff = new Diff(before, after, exampleCount);
  let old = before.nextProcess();
  let now = after.nextProcess();
  while (old !== undefined || now !== undefined) {
    if (old !== undefined && now !== undefined && old.pid === now.pid) {
      if (isSameProcess(old, now)) diff.compareProcess(old.pid, old.problem === undefined && now.problem === undefined);
      else {
        diff.endProcess(old);
        diff.startProcess(now);
      }
      diff.processCounts.before++;
      diff.processCounts.after++;
      old = before.nextProcess();
      now = after.nextProcess();
    } else if (now === undefined || (old !== undefined && old.pid < now.pid)) {
      diff.endProcess(old!);
      diff.processCounts.before++;
      old = before.nextProcess();
    } else {
      diff.startProcess(now);
      diff.processCounts.after++;
      now = after.nextProcess();
    }
  }
  return diff.finish();
}

function isSameProcess(a: SnapshotProcess, b: SnapshotProcess): boolean {
  return a.image === b.image && (a.started === undefined || b.started === undefined || a.started === b.started);
}

interface MutableKind extends HandleKind {
  opened: number;
  closed: number;
  readonly openedExamples: DiffHandle[];
  readonly closedExamples: DiffHandle[];
}

interface MutableRecycled {
  readonly from: HandleKind;
  readonly to: HandleKind;
  count: number;
  readonly examples: HandlePair[];
}

class Diff {
  readonly processCounts: { before: number; after: number } = { before: 0, after: 0 };
  readonly #before: SnapshotReader;
  readonly #after: SnapshotReader;
  readonly #exampleCount: number;
  readonly #startedProcesses: SnapshotProcess[] = [];
  readonly #endedProcesses: SnapshotProcess[] = [];
  readonly #kindsByType = new Map<string, Map<string, MutableKind>>();
  readonly #typeCounts = new Map<string, { before: number; after: number; touched: boolean }>();
  readonly #recycledValues = new Map<MutableKind, Map<MutableKind, MutableRecycled>>();
  readonly #changedExamples: HandlePair[] = [];
  #opened = 0;
  #closed = 0;
  #recycled = 0;
  #changed = 0;

  constructor(before: SnapshotReader, after: SnapshotReader, exampleCount: number) {
    this.#before = before;
    this.#after = after;
    this.#exampleCount = exampleCount;
  }

  /**
   * Merges the handles of a process that is in both snapshots.
   *
   * @param hasNames whether both know the names of its handles
   */
  compareProcess(pid: number, hasNames: boolean): void {
    const before = this.#before;
    const after = this.#after;
    let oldLine = before.nextLine();
    let newLine = after.nextLine();
    let oldValue = oldLine === undefined ? '' : before.valueOf(oldLine);
    let newValue = newLine === undefined ? '' : after.valueOf(newLine);
    while (oldLine !== undefined || newLine !== undefined) {
      const order = oldLine === undefined ? 1 : newLine === undefined ? -1 : compareValues(oldValue, newValue);
      if (order < 0) this.#close(before.decodeHandle(oldLine!), pid);
      else if (order > 0) this.#open(after.decodeHandle(newLine!), pid);
      else if (oldLine === newLine) {
        const counts = this.#countsOf(before.typeOf(oldLine!, oldValue));
        counts.before++;
        counts.after++;
      } else this.#compareHandle(before.decodeHandle(oldLine!), after.decodeHandle(newLine!), pid, hasNames);
      if (order <= 0) {
        oldLine = before.nextLine();
        if (oldLine !== undefined) oldValue = before.valueOf(oldLine);
      }
      if (order >= 0) {
        newLine = after.nextLine();
        if (newLine !== undefined) newValue = after.valueOf(newLine);
      }
    }
  }

  endProcess(process: SnapshotProcess): void {
    this.#endedProcesses.push(process);
    for (let line = this.#before.nextLine(); line !== undefined; line = this.#before.nextLine()) {
      this.#before.valueOf(line);
      this.#close(this.#before.decodeHandle(line), process.pid);
    }
  }

  startProcess(process: SnapshotProcess): void {
    this.#startedProcesses.push(process);
    for (let line = this.#after.nextLine(); line !== undefined; line = this.#after.nextLine()) {
      this.#after.valueOf(line);
      this.#open(this.#after.decodeHandle(line), process.pid);
    }
  }

  finish(): SnapshotDiff {
    const types = [...this.#typeCounts].filter(([, { touched }]) => touched);
    const kinds = [...this.#kindsByType.values()]
      .flatMap((kinds) => [...kinds.values()])
      .filter(({ opened, closed }) => opened + closed > 0);
    const recycledValues = [...this.#recycledValues.values()].flatMap((targets) => [...targets.values()]);
    return {
      before: side(this.#before, this.processCounts.before),
      after: side(this.#after, this.processCounts.after),
      opened: this.#opened,
      closed: this.#closed,
      recycled: this.#recycled,
      changed: this.#changed,
      growth: this.#opened - this.#closed,
      startedProcesses: this.#startedProcesses,
      endedProcesses: this.#endedProcesses,
      types: types
        .map(([type, { before, after }]) => ({ type, before, after, growth: after - before }))
        .sort((a, b) => b.growth - a.growth || compareTexts(a.type, b.type)),
      kinds: kinds
        .map((kind) => ({ ...kind, growth: kind.opened - kind.closed }))
        .sort((a, b) => b.growth - a.growth || b.opened - a.opened || compareKinds(a, b)),
      recycledValues: recycledValues.sort(
        (a, b) => b.count - a.count || compareKinds(a.from, b.from) || compareKinds(a.to, b.to),
      ),
      changedExamples: this.#changedExamples,
    };
  }

  #compareHandle(old: SnapshotHandle, now: SnapshotHandle, pid: number, hasNames: boolean): void {
    if (isSameObject(old, now, hasNames)) {
      const [before, after] = [this.#countsOf(old.type), this.#countsOf(now.type)];
      before.before++;
      after.after++;
      // A file that turned out to be a socket when it could be examined.
      if (before !== after) before.touched = after.touched = true;
      if (!hasNames && haveSameAttributes(old, now)) return;
      this.#changed++;
      if (this.#changedExamples.length < this.#exampleCount)
        this.#changedExamples.push({ before: { ...old, pid }, after: { ...now, pid } });
      return;
    }
    this.#recycled++;
    const from = this.#close(old, pid);
    const to = this.#open(now, pid);
    const targets = getOrAdd(this.#recycledValues, from, () => new Map<MutableKind, MutableRecycled>());
    const recycled = getOrAdd(targets, to, () => ({ from: bare(from), to: bare(to), count: 0, examples: [] }));
    recycled.count++;
    if (recycled.examples.length < this.#exampleCount)
      recycled.examples.push({ before: { ...old, pid }, after: { ...now, pid } });
  }

  #open(handle: SnapshotHandle, pid: number): MutableKind {
    const kind = this.#kindOf(handle);
    this.#opened++;
    kind.opened++;
    const counts = this.#countsOf(handle.type);
    counts.after++;
    counts.touched = true;
    if (kind.openedExamples.length < this.#exampleCount) kind.openedExamples.push({ ...handle, pid });
    return kind;
  }

  #close(handle: SnapshotHandle, pid: number): MutableKind {
    const kind = this.#kindOf(handle);
    this.#closed++;
    kind.closed++;
    const counts = this.#countsOf(handle.type);
    counts.before++;
    counts.touched = true;
    if (kind.closedExamples.length < this.#exampleCount) kind.closedExamples.push({ ...handle, pid });
    return kind;
  }

  #kindOf({ type, name, socket }: SnapshotHandle): MutableKind {
    const pattern = socket !== undefined ? generaliseSocket(socket) : name === undefined ? '' : generaliseName(name);
    const kinds = getOrAdd(this.#kindsByType, type, () => new Map<string, MutableKind>());
    return getOrAdd(kinds, pattern, () => ({
      type,
      pattern,
      opened: 0,
      closed: 0,
      openedExamples: [],
      closedExamples: [],
    }));
  }

  #countsOf(type: string): { before: number; after: number; touched: boolean } {
    return getOrAdd(this.#typeCounts, type, () => ({ before: 0, after: 0, touched: false }));
  }
}

function haveSameAttributes(a: SnapshotHandle, b: SnapshotHandle): boolean {
  return a.inheritable === b.inheritable && a.protectFromClose === b.protectFromClose;
}

/** Whether a value belongs to the same object in both snapshots, as far as this can be known. */
function isSameObject(a: SnapshotHandle, b: SnapshotHandle, hasNames: boolean): boolean {
  if (a.access !== b.access) return false;
  if (!hasNames || a.nameProblem !== undefined || b.nameProblem !== undefined) return kernelType(a) === kernelType(b);
  if (a.type !== b.type) return false;
  if (a.socket !== undefined && b.socket !== undefined) {
    const fits = (left: string | undefined, right: string | undefined): boolean =>
      left === undefined || right === undefined || left === right;
    return (
      a.socket.protocol === b.socket.protocol &&
      fits(a.socket.local, b.socket.local) &&
      fits(a.socket.remote, b.socket.remote)
    );
  }
  return a.name === b.name;
}

/** The kernel's type: a socket is a file to the kernel, and only an examination shows that it is a socket. */
function kernelType({ type }: SnapshotHandle): string {
  return type === 'Socket' ? 'File' : type;
}

function side(reader: SnapshotReader, processCount: number): DiffSide {
  const { handleCount = 0, namesMissing = 0 } = reader.trailer ?? {};
  return { ...reader.header, file: reader.file, handleCount, namesMissing, processCount };
}

function bare({ type, pattern }: HandleKind): HandleKind {
  return { type, pattern };
}

function compareKinds(a: HandleKind, b: HandleKind): number {
  return compareTexts(a.type, b.type) || compareTexts(a.pattern, b.pattern);
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
