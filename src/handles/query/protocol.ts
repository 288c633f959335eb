import type { SocketDescription } from '../../model.ts';
import type { FileDetail } from '../file-details.ts';

/** One file handle that the helper process is asked about. */
export interface FileQuery {
  /** Identifies the question in its answer. */
  readonly id: number;
  readonly processId: number;
  /** The handle's value in that process, in decimal: JSON has no bigint. */
  readonly value: string;
  /** Ask for the file's details too. */
  readonly details?: true;
}

/** The helper process's answer about one file handle. */
export interface FileAnswer {
  readonly id: number;
  /** As the kernel spells it; empty where the file has no name. */
  readonly name?: string;
  readonly socket?: SocketDescription;
  /** Present when they were asked for. */
  readonly details?: readonly FileDetail[];
  /**
   * The query is blocked, and blocks a thread of the helper until the helper ends. If it returns before that, another
   * answer follows.
   */
  readonly timedOut?: true;
  /** The call that failed, and its code: `DuplicateHandle 6`, `NtQueryObject 0xc0000022`. */
  readonly problem?: string;
}

/** From the auditor to the helper process. */
export interface QueryMessage {
  readonly queries: readonly FileQuery[];
}

/** From the helper process to the auditor. */
export interface AnswerMessage {
  /** May be empty: then the message only says that the helper is alive. */
  readonly answers: readonly FileAnswer[];
  /** All threads of the helper are blocked, so that it can answer no more. */
  readonly exhausted?: true;
}

/** Environment variables for the helper: how long a query may take, and how many threads libuv has. */
export const QUERY_TIMEOUT_VARIABLE = 'UNCLOSED_QUERY_TIMEOUT_MS';
export const POOL_SIZE_VARIABLE = 'UV_THREADPOOL_SIZE';

/** Environment variable for tests: with `1`, the helper is used on Wine, too, as on Windows. */
export const FILES_IN_HELPER_VARIABLE = 'UNCLOSED_FILES_IN_HELPER';
