import { closeSync, openSync, readSync } from 'node:fs';

import { toolName, toolVersion } from '../version.ts';
import { SnapshotError } from './errors.ts';
import {
  compareValues,
  schemaVersion,
  snapshotKind,
  type SnapshotHandle,
  type SnapshotHeader,
  type SnapshotProcess,
  type SnapshotTrailer,
} from './format.ts';

const CHUNK_SIZE_BYTES = 1 << 22;
/** The longest possible line: a name has at most 32,767 characters of six bytes each. */
const LINE_LENGTH_MAX = 1 << 20;

/**
 * Reads a snapshot file from start to end, without a tree in memory: first the header, then process by process, and the
 * handles of each process line by line. A line is decoded only on demand, because most lines of two snapshots are
 * alike.
 *
 * Lines are returned as Latin-1, one character for each byte. {@link decodeHandle} decodes them as UTF-8.
 */
export class SnapshotReader implements Disposable {
  readonly header: SnapshotHeader;
  readonly file: string;
  #descriptor: number | undefined;
  readonly #chunk: Buffer = Buffer.allocUnsafe(CHUNK_SIZE_BYTES);
  #text = '';
  #at = 0;
  #lineNumber = 0;
  #handleCount = 0;
  #lastPid = -1;
  #lastValue = '';
  /**
   * The parts that may come next: a process or the end; a process, after a comma; a handle or the end of the process; a
   * handle.
   */
  #expected: 'process or end' | 'process' | 'handle or end' | 'handle' | 'end of process' | 'end' | 'nothing' =
    'process or end';
  #trailer: SnapshotTrailer | undefined;

  /**
   * @param file as the user gave it, for messages
   * @param path of the file, as Windows takes it
   * @throws SnapshotError when it cannot be read or is no snapshot of a version that this tool knows
   */
  constructor(file: string, path: string = file) {
    this.file = file;
    try {
      this.#descriptor = openSync(path, 'r');
      this.header = this.#readHeader();
    } catch (error) {
      this[Symbol.dispose]();
      throw this.#explain(error);
    }
  }

  /** The last line; present once {@link nextProcess} has returned `undefined`. */
  get trailer(): SnapshotTrailer | undefined {
    return this.#trailer;
  }

  /**
   * The next process. All handles of the one before must have been read.
   *
   * @throws SnapshotError when the file is damaged
   */
  nextProcess(): SnapshotProcess | undefined {
    if (this.#expected === 'nothing') return undefined;
    const line = this.#readLine();
    if (line === undefined) throw this.#damaged('it ends too early');
    if (line.startsWith(']')) {
      if (this.#expected === 'process') throw this.#damaged();
      this.#readTrailer(line);
      return undefined;
    }
    if (this.#expected === 'end' || !line.endsWith(',"handles":[')) throw this.#damaged();
    const process = this.#parse(`${line}]}`) as Partial<SnapshotProcess>;
    if (typeof process.pid !== 'number' || !Number.isInteger(process.pid) || typeof process.image !== 'string')
      throw this.#damaged();
    if (process.pid <= this.#lastPid) throw this.#damaged('its processes are out of order');
    this.#lastPid = process.pid;
    this.#lastValue = '';
    this.#expected = 'handle or end';
    const { pid, image, started, problem } = process;
    return {
      pid,
      image,
      ...(typeof started === 'string' ? { started } : {}),
      ...(typeof problem === 'string' ? { problem } : {}),
    };
  }

  /**
   * The next handle of the current process: its line, without the comma that may end it. `undefined` at the end.
   *
   * @throws SnapshotError when the file is damaged
   */
  nextLine(): string | undefined {
    const line = this.#readLine();
    if (line === undefined) throw this.#damaged('it ends too early');
    if (line.charCodeAt(0) === 0x5d) {
      if (this.#expected === 'handle' || (line !== ']}' && line !== ']},')) throw this.#damaged();
      this.#expected = line === ']}' ? 'end' : 'process';
      return undefined;
    }
    if (this.#expected === 'end of process') throw this.#damaged();
    this.#handleCount++;
    const isLast = line.charCodeAt(line.length - 1) !== 0x2c;
    this.#expected = isLast ? 'end of process' : 'handle';
    return isLast ? line : line.slice(0, -1);
  }

  /**
   * The value in a line of {@link nextLine}.
   *
   * @throws SnapshotError when the line is damaged or its value is out of order
   */
  valueOf(line: string): string {
    const end = line.indexOf('"', 12);
    const value = line.slice(12, end);
    if (end < 13 || end > 28 || !line.startsWith('{"value":"0x') || !line.endsWith('}')) throw this.#damaged();
    if (this.#lastValue !== '' && compareValues(this.#lastValue, value) >= 0)
      throw this.#damaged('its handles are out of order');
    this.#lastValue = value;
    return value;
  }

  /**
   * The type in a line of {@link nextLine}.
   *
   * @throws SnapshotError when the line is damaged
   */
  typeOf(line: string, value: string): string {
    const start = 12 + value.length + 10; // `","type":"`
    const end = line.indexOf('"', start);
    if (end <= start || !line.startsWith('","type":"', 12 + value.length)) throw this.#damaged();
    return line.slice(start, end);
  }

  /**
   * Decodes a line of {@link nextLine}.
   *
   * @throws SnapshotError when the line is damaged
   */
  decodeHandle(line: string): SnapshotHandle {
    return decodeUsual(line) ?? this.#decodeAny(line);
  }

  #decodeAny(line: string): SnapshotHandle {
    const handle = this.#parse(line) as Record<string, unknown>;
    const { value, type, access, name, nameProblem, socket, inheritable, protectFromClose, ended } = handle;
    if (typeof value !== 'string' || !/^0x(?:0|[1-9a-f][0-9a-f]{0,15})$/.test(value)) throw this.#damaged();
    if (typeof type !== 'string' || typeof access !== 'string' || !/^0x[0-9a-f]{1,8}$/.test(access))
      throw this.#damaged();
    if (
      (name !== undefined && typeof name !== 'string') ||
      (nameProblem !== undefined && typeof nameProblem !== 'string')
    )
      throw this.#damaged();
    if (socket !== undefined && !isSocket(socket)) throw this.#damaged();
    return {
      value: value.slice(2),
      type,
      access: Number(access),
      ...(inheritable === true ? { inheritable } : {}),
      ...(protectFromClose === true ? { protectFromClose } : {}),
      ...(name === undefined ? {} : { name }),
      ...(nameProblem === undefined ? {} : { nameProblem }),
      ...(socket === undefined ? {} : { socket }),
      ...(ended === true ? { ended } : {}),
    };
  }

  [Symbol.dispose](): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #readHeader(): SnapshotHeader {
    const line = this.#readLine();
    if (line === undefined) throw this.#damaged('it is empty');
    const [first, second] = [line.charCodeAt(0), line.charCodeAt(1)];
    if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) {
      // Windows PowerShell 5 writes UTF-16 when `>` redirects a program's output.
      throw new SnapshotError(
        'read snapshot',
        this.file,
        'it is UTF-16, which a shell made of it',
        'unclosed snapshot -o',
      );
    }
    const text = line.startsWith('\xef\xbb\xbf') ? line.slice(3) : line;
    // The version is checked first, because a newer layout may have other lines.
    const version = /"schemaVersion"\s*:\s*(\d+)/.exec(text)?.[1];
    if (version !== undefined && text.includes(`"${snapshotKind}"`) && Number(version) > schemaVersion) {
      const why = `its schemaVersion is ${version}, and ${toolName} ${toolVersion} reads ${schemaVersion}`;
      throw new SnapshotError('read snapshot', this.file, why, `a newer ${toolName}`);
    }
    if (!text.startsWith(`{"kind":"${snapshotKind}"`) || !text.endsWith(',"processes":[')) {
      throw new SnapshotError(
        'read snapshot',
        this.file,
        'it is not a snapshot',
        'a file that unclosed snapshot -o wrote',
      );
    }
    const header = this.#parse(`${text}]}`) as Partial<SnapshotHeader>;
    const { tool, host, taken } = header;
    if (
      header.schemaVersion !== schemaVersion ||
      typeof tool !== 'string' ||
      typeof host !== 'string' ||
      typeof taken !== 'string'
    ) {
      throw this.#damaged();
    }
    return { kind: snapshotKind, schemaVersion, tool, host, taken };
  }

  #readTrailer(line: string): void {
    if (!line.startsWith('],"handleCount":')) throw this.#damaged();
    const { handleCount, namesMissing } = this.#parse(`{"processes":[${line}`) as Partial<SnapshotTrailer>;
    if (typeof handleCount !== 'number' || typeof namesMissing !== 'number') throw this.#damaged();
    if (handleCount !== this.#handleCount) {
      throw this.#damaged(`it has ${this.#handleCount} handles and says that it has ${handleCount}`);
    }
    if (this.#readLine() !== undefined) throw this.#damaged('something follows its end');
    this.#trailer = { handleCount, namesMissing };
    this.#expected = 'nothing';
  }

  /** The next line, without its end; `undefined` at the end of the file. */
  #readLine(): string | undefined {
    let end = this.#text.indexOf('\n', this.#at);
    while (end < 0) {
      if (this.#text.length - this.#at > LINE_LENGTH_MAX) throw this.#damaged('a line is too long');
      const rest = this.#text.slice(this.#at);
      const more = this.#readChunk();
      if (more === '') {
        if (rest === '') return undefined;
        // The last line of the file may lack its end. A line that was cut fails to decode.
        this.#at = this.#text.length;
        this.#lineNumber++;
        return rest;
      }
      this.#text = rest + more;
      this.#at = 0;
      end = this.#text.indexOf('\n', rest.length);
    }
    // Version control on Windows may have changed the ends of lines.
    const stop = end > this.#at && this.#text.charCodeAt(end - 1) === 0x0d ? end - 1 : end;
    const line = this.#text.slice(this.#at, stop);
    this.#at = end + 1;
    this.#lineNumber++;
    return line;
  }

  #readChunk(): string {
    try {
      return this.#chunk.toString('latin1', 0, readSync(this.#descriptor!, this.#chunk, 0, this.#chunk.length, null));
    } catch (error) {
      throw this.#explain(error);
    }
  }

  #parse(latin1: string): unknown {
    try {
      return JSON.parse(/[\x80-\xff]/.test(latin1) ? decoder.decode(Buffer.from(latin1, 'latin1')) : latin1);
    } catch {
      throw this.#damaged();
    }
  }

  #explain(error: unknown): unknown {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof SnapshotError || typeof code !== 'string') return error;
    if (code === 'ENOENT')
      return new SnapshotError('read snapshot', this.file, 'there is no such file', 'unclosed snapshot -o to make one');
    return new SnapshotError('read snapshot', this.file, `the system refuses (${code})`, 'another file');
  }

  #damaged(why: string = 'the line is not what unclosed writes'): SnapshotError {
    return new SnapshotError(
      'read snapshot',
      this.file,
      `it is damaged at line ${this.#lineNumber}: ${why}`,
      'another copy of it',
    );
  }
}

/** The beginning of nearly every line, up to its access. */
const USUAL_START =
  /^\{"value":"0x(0|[1-9a-f][0-9a-f]{0,15})","type":"([^"\\\x80-\xff]+)","access":"0x([0-9a-f]{1,8})"(?=[,}])/;
const NAME_KEY = ',"name":"';

/** Decodes a line that has only the common keys and perhaps a name in ASCII, in a third of the time of JSON.parse. */
function decodeUsual(line: string): SnapshotHandle | undefined {
  const match = USUAL_START.exec(line);
  if (match === null) return undefined;
  const [start, value = '', type = '', digits = ''] = match;
  const access = Number.parseInt(digits, 16);
  if (line.length === start.length + 1) return { value, type, access };
  const nameStart = start.length + NAME_KEY.length;
  if (
    !line.startsWith(NAME_KEY, start.length) ||
    line.indexOf('"', nameStart) !== line.length - 2 ||
    !line.endsWith('}')
  )
    return undefined;
  const escaped = line.slice(nameStart, -2);
  if (/[^\x20-\x7e]/.test(escaped)) return undefined;
  if (!escaped.includes('\\')) return { value, type, access, name: escaped };
  // Backslashes of paths are decoded here. Lines with other escapes are left to JSON.
  const name = escaped.replaceAll('\\\\', '\0');
  return name.includes('\\') ? undefined : { value, type, access, name: name.replaceAll('\0', '\\') };
}

const decoder = new TextDecoder('utf-8', { fatal: true });

function isSocket(socket: unknown): socket is NonNullable<SnapshotHandle['socket']> {
  return (
    typeof socket === 'object' && socket !== null && Object.values(socket).every((field) => typeof field === 'string')
  );
}
