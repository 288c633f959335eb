import { CreateEventW } from '../ffi/kernel32.ts';
import type { HANDLE } from '../ffi/library.ts';
import { isWine } from '../ffi/ntdll.ts';
import type { AsHandle, OwnedHandle } from '../io/handle.ts';
import { HandleOrNull } from '../io/handle-or-null.ts';
import { nameOfNtStatus, nameOfWin32Code } from '../io/error-names.ts';
import type { HandleObject, SocketDescription } from '../model.ts';
import { displayName, type NameContext } from './display-name.ts';
import { withDuplicate } from './duplicate.ts';
import type { FileDetail } from './file-details.ts';
import { readNameContext } from './name-context.ts';
import { queryObjectName } from './object-name.ts';
import { nameProcessObject, type ProcessObject, queryProcessObject } from './process-objects.ts';
import { QueryHelper, type QueryHelperOptions } from './query/query-helper.ts';
import { type FileAnswer, FILES_IN_HELPER_VARIABLE } from './query/protocol.ts';
import { querySocket } from './sockets/sockets.ts';
import { TcpTable } from './sockets/tcp-table.ts';

/** A handle to describe: the part of a line of the handle table that is needed for it. */
export interface DescribableHandle {
  readonly processId: number;
  readonly value: bigint;
  /** Kernel type name. */
  readonly type: string;
  /** For a file: ask for its details, too, always in the helper process. */
  readonly details?: true;
}

/** The description of one handle. Names in it come from the target: escape them where they are shown. */
export interface HandleDescription extends ProcessObject {
  readonly object: HandleObject;
  /** Why {@link object} has no name although it might have one: `timed out`, or the call that failed and its code. */
  readonly nameProblem?: string;
  /** Present for a file whose details were asked for. */
  readonly details?: readonly FileDetail[];
}

/** How a {@link HandleDescriber} works. */
interface HandleDescriberOptions extends QueryHelperOptions {
  /**
   * Whether a helper process examines files, because that may block for ever. By default on Windows, and not on Wine,
   * whose server always answers at once [ran, Wine 8].
   */
  readonly filesInHelper?: boolean;
}

/**
 * Describes handles: names as a person types them, sockets with their endpoints, processes and threads with their ids
 * and whether they have ended.
 *
 * Never hangs: questions that might block are asked in a helper process. The first such question starts it, and `using`
 * ends it. One describer serves many processes; it reads drives and TCP connections once.
 */
export class HandleDescriber implements Disposable {
  readonly #filesInHelper: boolean;
  readonly #helper: QueryHelper;
  #context: NameContext | undefined;
  #tcpTable: TcpTable | undefined;
  #event: OwnedHandle | undefined;

  constructor(options: HandleDescriberOptions = {}) {
    this.#filesInHelper = options.filesInHelper ?? (!isWine || process.env[FILES_IN_HELPER_VARIABLE] === '1');
    this.#helper = new QueryHelper(options);
  }

  /**
   * Describes handles of one process, in the order given. A handle that cannot be examined, because it is closed by now
   * or access is denied, is described by its type and {@link HandleDescription.nameProblem}.
   *
   * @param process opened with PROCESS_DUP_HANDLE
   */
  async describe(process: AsHandle, handles: readonly DescribableHandle[]): Promise<readonly HandleDescription[]> {
    return this.describeOf(() => process, handles);
  }

  /**
   * {@link describe} for handles of several processes. All questions that may block are asked together, so that their
   * time-outs pass at the same time.
   *
   * @param processOf the process of a handle, opened with PROCESS_DUP_HANDLE
   */
  async describeOf<H extends DescribableHandle>(
    processOf: (handle: H) => AsHandle,
    handles: readonly H[],
  ): Promise<readonly HandleDescription[]> {
    const descriptions = new Array<HandleDescription>(handles.length);
    const deferred: number[] = [];
    for (let index = 0; index < handles.length; index++) {
      const handle = handles[index]!;
      if (handle.type === 'File' && (this.#filesInHelper || handle.details)) deferred.push(index);
      else descriptions[index] = this.#describeNow(processOf(handle), handle);
    }
    if (deferred.length > 0) {
      const answers = await this.#helper.ask(deferred.map((index) => handles[index]!));
      deferred.forEach((index, i) => {
        descriptions[index] = this.#describeAnswer(answers[i]!);
      });
    }
    return descriptions;
  }

  /**
   * How many handles to describe at a time: few, so that the first results come soon. Where some may block it is many,
   * so that their time-outs pass together.
   */
  get batchSize(): number {
    return this.#filesInHelper ? 65_536 : 4_096;
  }

  /** Ends the helper process, if there is one. */
  [Symbol.dispose](): void {
    this.#helper[Symbol.dispose]();
    this.#event?.[Symbol.dispose]();
  }

  #describeNow(process: AsHandle, { value, type }: DescribableHandle): HandleDescription {
    if (type === 'Process' || type === 'Thread') {
      const found = queryProcessObject(process, value, type);
      const name = nameProcessObject(found);
      return { object: name === undefined ? { type } : { type, name }, ...found };
    }
    const answer = withDuplicate(process, value, undefined, (handle) => this.#inspect(handle, type));
    if (!('code' in answer)) return answer;
    return {
      object: { type },
      nameProblem: describeFailure('DuplicateHandle', answer.code, nameOfWin32Code(answer.code)),
    };
  }

  #inspect(handle: HANDLE, type: string): HandleDescription {
    const name = queryObjectName(handle);
    if (typeof name === 'number') {
      const code = `0x${name.toString(16).padStart(8, '0')}`;
      return { object: { type }, nameProblem: describeFailure('NtQueryObject', code, nameOfNtStatus(name)) };
    }
    if (name === '' && type === 'File') {
      this.#event ??= HandleOrNull.fromRawHandle(CreateEventW(null, true, false, null)).expect('create an event', '');
      const socket = querySocket(handle, this.#event.asRawHandle());
      if (socket !== undefined) return { object: { type: 'Socket', socket: this.#refine(socket) } };
    }
    return { object: this.#nameObject(type, name) };
  }

  #describeAnswer(answer: FileAnswer): HandleDescription {
    if (answer.timedOut) return { object: { type: 'File' }, nameProblem: 'timed out' };
    if (answer.problem !== undefined) return { object: { type: 'File' }, nameProblem: answer.problem };
    if (answer.socket !== undefined) return { object: { type: 'Socket', socket: this.#refine(answer.socket) } };
    const object = this.#nameObject('File', answer.name ?? '');
    return answer.details === undefined ? { object } : { object, details: answer.details };
  }

  #nameObject(type: string, kernelName: string): HandleObject {
    if (kernelName === '') return { type };
    this.#context ??= readNameContext();
    return { type, name: displayName(type, kernelName, this.#context) };
  }

  /** A socket says that it is connected even when its peer has closed. Only the TCP table knows. */
  #refine(socket: SocketDescription): SocketDescription {
    const isTcp = socket.protocol === 'TCP' || socket.protocol === 'TCPv6';
    if (!isTcp || socket.state !== 'connected' || socket.local === undefined || socket.remote === undefined)
      return socket;
    this.#tcpTable ??= TcpTable.read();
    return this.#tcpTable.isClosing(socket.local, socket.remote) ? { ...socket, state: 'closed' } : socket;
  }
}

function describeFailure(call: string, code: number | string, name: string | undefined): string {
  return `${call}: ${name === undefined ? '' : `${name} `}${code}`;
}
