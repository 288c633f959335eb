import type { HandleKind, ListedHandle } from '../handles/list.ts';
import type { ProcessInfo } from '../process/processes.ts';
import { type Column, csvCell, formatCsv } from '../report/listing.ts';

/** The columns of machine-readable listings of handles, in their order. docs/handles.md explains each. */
export const handleColumns: readonly Column<ListedHandle>[] = [
  { key: 'pid', read: ({ process }) => process.processId },
  { key: 'process', read: ({ process }) => process.name },
  { key: 'handle', read: ({ value }) => formatHandle(value) },
  { key: 'type', read: ({ kind, description }) => description?.object.type ?? kind.type },
  { key: 'access', read: ({ kind }) => kind.accessText },
  { key: 'accessMask', read: ({ kind }) => `0x${kind.access.toString(16)}` },
  { key: 'attributes', read: ({ kind }) => spellAttributes(kind) },
  { key: 'name', read: ({ description }) => description?.object.name },
  { key: 'nameProblem', read: ({ description }) => description?.nameProblem },
  { key: 'protocol', read: ({ description }) => description?.object.socket?.protocol },
  { key: 'local', read: ({ description }) => description?.object.socket?.local },
  { key: 'remote', read: ({ description }) => description?.object.socket?.remote },
  { key: 'state', read: ({ description }) => description?.object.socket?.state },
  { key: 'targetPid', read: ({ description }) => description?.processId },
  { key: 'targetTid', read: ({ description }) => description?.threadId },
  { key: 'targetImage', read: ({ description }) => description?.imagePath },
  { key: 'ended', read: ({ description }) => description?.ended },
  { key: 'exitCode', read: ({ description }) => description?.exitCode },
];

const bareLines = new WeakMap<HandleKind, readonly [process: ProcessInfo, before: string, after: string]>();

/**
 * `formatCsv` of {@link handleColumns}, but quicker. Handles without names differ only in their value within one
 * process and kind, and there may be a million: the rest of the line is made once.
 */
export function formatHandlesCsv(rows: readonly ListedHandle[]): string {
  return rows
    .map((row) => (row.description === undefined ? formatBareLine(row) : formatCsv(handleColumns, [row])))
    .join('');
}

function formatBareLine(row: ListedHandle): string {
  const { process, kind, value } = row;
  let line = bareLines.get(kind);
  if (line?.[0] !== process) {
    const at = handleColumns.findIndex(({ key }) => key === 'handle');
    const cells = handleColumns.map(({ read }) => csvCell(read(row)));
    line = [
      process,
      cells
        .slice(0, at)
        .map((cell) => `${cell},`)
        .join(''),
      `${cells
        .slice(at + 1)
        .map((cell) => `,${cell}`)
        .join('')}\n`,
    ];
    bareLines.set(kind, line);
  }
  return line[1] + formatHandle(value) + line[2];
}

/** How many handles of one type a process has. */
export interface TypeCount {
  readonly process: ProcessInfo;
  readonly type: string;
  readonly count: number;
}

export const typeCountColumns: readonly Column<TypeCount>[] = [
  { key: 'pid', read: ({ process }) => process.processId },
  { key: 'process', read: ({ process }) => process.name },
  { key: 'type', read: ({ type }) => type },
  { key: 'handles', read: ({ count }) => count },
];

/** How many handles a process has. */
export interface ProcessCount {
  readonly process: ProcessInfo;
  readonly count: number;
}

export const processCountColumns: readonly Column<ProcessCount>[] = [
  { key: 'pid', read: ({ process }) => process.processId },
  { key: 'process', read: ({ process }) => process.name },
  { key: 'handles', read: ({ count }) => count },
];

/** A handle's value as Windows tools show it: `0x1a4`. */
export function formatHandle(value: bigint): string {
  // Nearly all are small, and a number is spelt several times faster than a bigint.
  const small = Number(value);
  return small >= 0 && small < 2 ** 31 ? `0x${small.toString(16)}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

/** `inherit`, `protect`, both, or nothing. */
export function spellAttributes({
  inheritable,
  protectFromClose,
}: {
  readonly inheritable: boolean;
  readonly protectFromClose: boolean;
}): string {
  return [inheritable ? 'inherit' : '', protectFromClose ? 'protect' : ''].filter(Boolean).join('|');
}
