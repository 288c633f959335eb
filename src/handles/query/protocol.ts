import type { SocketDescription } from '../../model.ts';
import type { FileDetail } from '../file-details.ts';

/** One file handle that the helper process is asked about. */
export interface FileQuery {
  /** Names the question in its answer. */
  readonly id: number;
  readonly processId: number;
  /** The handle's value in that process, in decimal: JSON has no bigint. */
  readonly value: string;
  /** Ask for the file's details too. */
  readonly details?: true;
}

/** What the helper process found out about one file handle. */
export interface FileAnswer {
  readonly id: number;
  /** As the kernel spells it; empty where the file has no name. */
  readonly name?: string;
  readonly socket?: SocketDescription;
  /** When they were asked for. */
  readonly details?: readonly FileDetail[];
  /**
   * The query is blocked, and blocks a thread of the helper until the helper is ended. Should it come back before,
   * another answer follows.
   */
  readonly timedOut?: true;
  /** Which call failed, and with what: `DuplicateHandle 6`, `NtQueryObject 0xc0000022`. */
  readonly problem?: string;
}

/** From the auditor to the helper process. */
export interface QueryMessage {
  readonly queries: readonly FileQuery[];
}

/** From the helper process to the auditor. */
export interface AnswerMessage {
  /** None: the message says that the helper lives, and that its queries take their time. */
  readonly answers: readonly FileAnswer[];
  /** All threads of the helper are blocked: it will answer nothing more. */
  readonly exhausted?: true;
}

/** Environment variables that tell the helper how long a query may take and how many threads libuv has. */
export const QUERY_TIMEOUT_VARIABLE = 'UNCLOSED_QUERY_TIMEOUT_MS';
export const POOL_SIZE_VARIABLE = 'UV_THREADPOOL_SIZE';

/** Environment variable that, when it is `1`, has files asked in the helper on Wine too, as on Windows: for tests. */
export const FILES_IN_HELPER_VARIABLE = 'UNCLOSED_FILES_IN_HELPER';
