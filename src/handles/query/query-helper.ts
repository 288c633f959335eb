import { type ChildProcess, spawn } from 'node:child_process';
import { extname, join } from 'node:path';

import { readProcessorTime } from '../../process/processes.ts';
import {
  type AnswerMessage,
  type FileAnswer,
  type FileQuery,
  POOL_SIZE_VARIABLE,
  QUERY_TIMEOUT_VARIABLE,
  type QueryMessage,
} from './protocol.ts';
import { Silence, TICK_MS } from './silence.ts';

/** A question about one file handle of one process. */
interface FileQuestion {
  readonly processId: number;
  readonly value: bigint;
  /** Ask for its details, too: size, position, state of a pipe. */
  readonly details?: true;
}

/** How patient a {@link QueryHelper} is. */
export interface QueryHelperOptions {
  /** How long one query may take on a machine with a free processor: see `QueryWatch`. */
  readonly timeoutMs?: number;
  /**
   * How many queries run at a time, each on a thread of its own. At most 255: koffi makes 256 calls at a time, and one
   * is a control.
   */
  readonly threads?: number;
  /** How long the helper may send nothing and use no processor time while it has work. After that it counts as hung. */
  readonly silenceMs?: number;
  /** How much longer while it starts. */
  readonly startupMs?: number;
  /** Path of the script that the helper runs. */
  readonly script?: string;
}

/** How many queries the helper has at a time: enough to keep its threads busy while messages travel. */
const WINDOW = 512;
/** A query that was under way in this many hung helpers is not tried again. */
const ATTEMPTS_MAX = 2;
/** After this many hung or ended helpers, the remaining queries count as timed out. */
const FAILED_HELPERS_MAX = 4;

interface Pending extends FileQuery {
  readonly index: number;
  attempts: number;
}

/**
 * A second Node process that asks the questions that may never be answered.
 *
 * The kernel gives the name of a synchronous file object only after the call that holds its lock has ended. Nothing can
 * cancel the wait: JavaScript cannot, and to end a thread could leave the heap locked for ever. So another process
 * waits, on one thread for each question. Blocked questions are given up, and ending the process ends its threads. The
 * process starts with the first question.
 */
export class QueryHelper implements Disposable {
  readonly #options: Required<QueryHelperOptions>;
  #child: ChildProcess | undefined;
  #disposed = false;
  #lastId = 0;
  #asking: Promise<unknown> = Promise.resolve();

  constructor(options: QueryHelperOptions = {}) {
    this.#options = {
      timeoutMs: options.timeoutMs ?? 500,
      threads: options.threads ?? 64,
      silenceMs: options.silenceMs ?? 3_000,
      startupMs: options.startupMs ?? 15_000,
      script: options.script ?? helperScript(),
    };
  }

  /** The process id of the helper while it runs. */
  get processId(): number | undefined {
    return this.#child?.pid;
  }

  /**
   * Answers questions about files, in their order. Always settles, and never rejects because of a file.
   *
   * @throws Error when this helper was disposed of, or cannot be started
   */
  ask(questions: readonly FileQuestion[]): Promise<readonly FileAnswer[]> {
    const result = this.#asking.then(() => this.#askAll(questions));
    this.#asking = result.catch(() => undefined);
    return result;
  }

  /** Ends the helper process. Questions under way get the answer that they timed out. */
  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#end();
  }

  async #askAll(questions: readonly FileQuestion[]): Promise<readonly FileAnswer[]> {
    if (this.#disposed) throw new Error('Cannot query a file: the query helper has been disposed of');
    const answers = new Array<FileAnswer | undefined>(questions.length);
    let queue = questions.map((question, index): Pending => {
      return {
        id: ++this.#lastId,
        processId: question.processId,
        value: String(question.value),
        ...(question.details ? { details: true as const } : {}),
        index,
        attempts: 0,
      };
    });
    for (let failedHelpers = 0; queue.length > 0 && failedHelpers < FAILED_HELPERS_MAX; ) {
      if (this.#disposed) break;
      const round = await this.#askOneHelper(queue, answers);
      if (round.failed) failedHelpers++;
      queue = queue.filter((query) => answers[query.index] === undefined);
      for (const query of round.underWay) {
        if (answers[query.index] === undefined && ++query.attempts >= ATTEMPTS_MAX) {
          answers[query.index] = { id: query.id, timedOut: true };
        }
      }
      queue = queue.filter((query) => answers[query.index] === undefined);
    }
    return Array.from(answers, (answer, index) => answer ?? { id: index, timedOut: true });
  }

  /**
   * Asks one helper until all queries are answered or the helper fails. `underWay` are the queries that it had then.
   */
  #askOneHelper(
    queue: readonly Pending[],
    answers: (FileAnswer | undefined)[],
  ): Promise<{ failed: boolean; underWay: readonly Pending[] }> {
    const isNew = this.#child === undefined;
    const child = (this.#child ??= this.#start());
    const asked = new Map(queue.map((query) => [query.id, query]));
    const underWay = new Map<number, Pending>();
    let next = 0;

    return new Promise((resolve, reject) => {
      const { silenceMs, startupMs } = this.#options;
      const readUsed = (): bigint | undefined => readProcessorTime(child.pid ?? 0);
      const silence = new Silence({ silenceMs, startupMs: isNew ? startupMs : 0, readProcessorTime: readUsed });
      const timer = setInterval(() => silence.tick() && finish(true), TICK_MS);
      const finish = (failed: boolean, isSpent = failed): void => {
        clearInterval(timer);
        child.off('message', onMessage).off('error', onError).off('exit', onExit);
        if (isSpent) this.#end(child);
        resolve({ failed, underWay: [...underWay.values()] });
      };
      const sendMore = (): void => {
        const queries: FileQuery[] = [];
        for (; next < queue.length && underWay.size < WINDOW; next++) {
          const query = queue[next]!;
          underWay.set(query.id, query);
          const { id, processId, value, details } = query;
          queries.push({ id, processId, value, ...(details ? { details } : {}) });
        }
        if (queries.length > 0) child.send({ queries } satisfies QueryMessage, (error) => error && onExit());
      };
      const onMessage = (message: unknown): void => {
        const { answers: answered, exhausted } = message as AnswerMessage;
        silence.hear();
        for (const answer of answered) {
          const query = asked.get(answer.id);
          if (query === undefined) continue; // An earlier query has returned after all.
          underWay.delete(answer.id);
          answers[query.index] = answer;
        }
        if (underWay.size === 0 && next === queue.length) return finish(false, exhausted === true);
        if (exhausted) {
          underWay.clear(); // They were still waiting for a thread.
          return finish(false, true);
        }
        sendMore();
      };
      const onError = (error: Error): void => {
        if (child.pid === undefined) reject(new Error(`Cannot start the query helper: ${error.message}`));
        finish(true);
      };
      const onExit = (): void => finish(true);

      child.on('message', onMessage).on('error', onError).on('exit', onExit);
      sendMore();
    });
  }

  #start(): ChildProcess {
    const child = spawn(process.execPath, ['--no-warnings', this.#options.script], {
      stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      windowsHide: true,
      env: {
        ...process.env,
        NODE_OPTIONS: '',
        [QUERY_TIMEOUT_VARIABLE]: String(this.#options.timeoutMs),
        [POOL_SIZE_VARIABLE]: String(this.#options.threads + 1),
      },
    });
    // The helper must not keep the auditor alive. While questions are under way, the timer below does.
    child.unref();
    child.channel?.unref();
    child.on('error', () => undefined); // A failure between questions shows in the next question.
    child.once('exit', () => {
      if (this.#child === child) this.#child = undefined;
    });
    return child;
  }

  #end(child: ChildProcess | undefined = this.#child): void {
    child?.kill('SIGKILL');
    if (this.#child === child) this.#child = undefined;
  }
}

/** The helper's script is beside this file: TypeScript or compiled, as this file is. */
function helperScript(): string {
  return join(import.meta.dirname, `query-helper-main${extname(import.meta.filename)}`);
}
