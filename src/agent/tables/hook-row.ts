import type { ObjectType } from './object-types.ts';

/** A handle that a successful call stores through a pointer argument. */
export interface OpenedHandle {
  /** Index of the pointer argument. */
  readonly argument: number;
  readonly type: ObjectType;
  /** The pointer may be NULL, and the call may succeed without storing a handle. */
  readonly optional?: true;
}

/** A structure that a successful call fills, and that may hold handles. */
export interface FilledStructure {
  /** Index of the argument that points to it. */
  readonly argument: number;
  /** Index of the argument that has the structure's class; otherwise its first 32 bits have it. */
  readonly selector?: number;
  readonly handles: readonly {
    /** The class that holds the handle. */
    readonly when: number;
    readonly offset: number;
    readonly type: ObjectType;
  }[];
}

/**
 * The hook's task, beside passing the call through:
 * - `opens`: records every handle of {@link HookRow.opens} when the call succeeded;
 * - `opens-file`: the same, and tells sockets from other files;
 * - `opens-within`: `uses`, and records the handles of {@link HookRow.fills};
 * - `creates-process`: the same, and records which handles the new process inherited;
 * - `closes`: records the close of its handle;
 * - `duplicates`: records what it opens and closes in this process;
 * - `uses`: records a misuse when the call was refused because of one of {@link HookRow.uses};
 * - `waits`, `waits-many`: `uses`, for one handle or an array of them;
 * - `controls-device`: `uses`, and records the accept of Wine's sockets;
 * - `sets-object`: `uses`, and counts changes of what is inheritable;
 * - `exits`: waits at the gate when the process ends itself;
 * - `raises`: waits at the gate when an unhandled exception ends the process;
 * - `maps`: `uses`, and notes the images that are mapped into this process;
 * - `unmaps`: clears the walk cache when an image goes.
 */
export type HookRole =
  | 'opens'
  | 'opens-file'
  | 'opens-within'
  | 'creates-process'
  | 'closes'
  | 'duplicates'
  | 'uses'
  | 'waits'
  | 'waits-many'
  | 'controls-device'
  | 'sets-object'
  | 'exits'
  | 'raises'
  | 'maps'
  | 'unmaps';

export interface HookRow {
  readonly name: string;
  readonly argumentCount: number;
  readonly role: HookRole;
  readonly opens: readonly OpenedHandle[];
  readonly fills?: FilledStructure;
  /** Indexes of the arguments that are handles of this process, at most three. */
  readonly uses: readonly number[];
  /** The types of the object behind the first of {@link uses} that the call is made for. */
  readonly worksOn: 'any' | readonly ObjectType[];
  /**
   * Index of the argument whose OBJECT_ATTRIBUTES say whether the opened handle is inheritable; absent where no
   * argument is known to say so.
   */
  readonly attributes?: number;
  /** Index of the argument with FILE_FULL_EA_INFORMATION; its length in bytes is the next one. */
  readonly extendedAttributes?: number;
}

/** A row with the number that stands for it in the ledger. */
export interface NumberedRow {
  readonly row: HookRow;
  /** From 1. */
  readonly rowNumber: number;
}
