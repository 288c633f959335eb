import { randomUUID } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises';
import http, { type IncomingMessage } from 'node:http';
import https from 'node:https';
import { dirname } from 'node:path';

import { toolName } from '../../version.ts';
import { compressedName, POINTER_NAME, readPointer, storeParts } from './pdb-name.ts';

/** The limits of what a symbol server is asked for. */
export interface ServerLimits {
  /** A larger file is not taken. */
  readonly sizeBytesMax: number;
  /** So long a server may stay silent. */
  readonly silenceMs: number;
  /** Whether to ask servers on this very machine without TLS, as tests do. */
  readonly allowsPlainLoopback?: boolean;
}

/** A file as a server knows it. */
interface ServerFile {
  /** A plain file name. */
  readonly name: string;
  /** GUID and age, in hexadecimal digits. */
  readonly id: string;
}

/** The news of a download: at its begin, from time to time, and at its end. */
export interface SymbolDownload {
  readonly name: string;
  /** The server's host. */
  readonly host: string;
  readonly receivedBytes: number;
  /** Absent where the server does not say. */
  readonly sizeBytes?: number;
  readonly isDone: boolean;
}

/** The result of asking a server. */
export type ServerAnswer =
  /** The file has been written. */
  | { readonly kind: 'written' }
  /** The server has a `file.ptr`, which names another place. */
  | { readonly kind: 'elsewhere'; readonly path: string }
  | { readonly kind: 'absent' }
  /** `why` continues "the server …". */
  | { readonly kind: 'refused'; readonly why: string };

export const serverLimits: ServerLimits = { sizeBytesMax: 2 ** 31, silenceMs: 20_000 };

const REDIRECTIONS_MAX = 5;
const POINTER_SIZE_BYTES_MAX = 4096;
/** News of a download come after so many bytes. */
const NEWS_STEP_SIZE_BYTES = 1 << 24;

/** The server did not give a file. The message continues "the server …". */
class ServerRefusal extends Error {}

/**
 * Asks a symbol server for a file, and writes it: whole, or not at all. Only https is spoken.
 *
 * @param path where to write it; its directory is made
 * @param isWanted whether a file that was received is the one that is looked for
 * @param signal ends all of it
 * @see https://learn.microsoft.com/windows-hardware/drivers/debugger/symbol-stores-and-symbol-servers
 */
export async function download(
  server: string,
  file: ServerFile,
  path: string,
  isWanted: (path: string) => boolean,
  options: { limits: ServerLimits; signal: AbortSignal; onProgress?: (download: SymbolDownload) => void },
): Promise<ServerAnswer> {
  const { limits, signal } = options;
  const ask = (name: string): Promise<OpenAnswer | undefined> => request(toUrl(server, file, name), limits, signal);
  try {
    const answer = await ask(file.name);
    if (answer !== undefined) {
      await receive(answer, file.name, path, isWanted, options);
      return { kind: 'written' };
    }
    const compressed = await ask(compressedName(file.name));
    compressed?.cancel();
    if (compressed !== undefined) throw new ServerRefusal(`has it only compressed, as ${compressedName(file.name)}`);
    const pointer = await ask(POINTER_NAME);
    if (pointer === undefined) return { kind: 'absent' };
    const target = readPointer(await readAll(pointer, POINTER_SIZE_BYTES_MAX));
    return target === undefined ? { kind: 'absent' } : { kind: 'elsewhere', path: target };
  } catch (error) {
    return { kind: 'refused', why: spellRefusal(error, signal) };
  }
}

/** @throws ServerRefusal for an address that is none */
function toUrl(server: string, { name, id }: ServerFile, wanted: string): URL {
  const path = storeParts(name, id, wanted, false).map(encodeURIComponent).join('/');
  if (!URL.canParse(server)) throw new ServerRefusal('has no valid address');
  const base = new URL(server);
  base.pathname = `${base.pathname.replace(/\/+$/, '')}/${path}`;
  return base;
}

interface OpenAnswer {
  readonly url: URL;
  readonly sizeBytes: number | undefined;
  /** Ends with an error when the server stays silent for too long. */
  readonly parts: AsyncIterable<Uint8Array>;
  cancel(): void;
}

/**
 * @returns `undefined` where the server has no such file
 * @throws ServerRefusal for any other answer
 */
async function request(start: URL, limits: ServerLimits, signal: AbortSignal): Promise<OpenAnswer | undefined> {
  let url = start;
  for (let count = 0; count <= REDIRECTIONS_MAX; count++) {
    checkProtocol(url, limits);
    const silence = new Silence(limits.silenceMs);
    let isOpen = false;
    try {
      const response = await silence.guard(send(url, AbortSignal.any([signal, silence.signal])));
      const { statusCode: status = 0, headers } = response;
      if (status === 200) {
        if ((headers['content-encoding'] ?? 'identity') !== 'identity')
          throw new ServerRefusal('sent the file in an encoding that was not asked for');
        const length = Number(headers['content-length'] ?? Number.NaN);
        isOpen = true;
        return {
          url,
          sizeBytes: Number.isSafeInteger(length) ? length : undefined,
          parts: listen(response, silence),
          cancel: () => silence.end(),
        };
      }
      if (status === 404 || status === 410) return undefined;
      const location = status >= 300 && status < 400 ? headers.location : undefined;
      if (location === undefined) throw new ServerRefusal(`answered with HTTP ${status}`);
      if (!URL.canParse(location, url.href)) throw new ServerRefusal('led to an address that is none');
      url = new URL(location, url);
    } finally {
      if (!isOpen) silence.end();
    }
  }
  throw new ServerRefusal('led from address to address without end');
}

/**
 * Resolves when the head of the answer is there. Not by fetch(): it sets times of TCP's keep-alive, which the sockets
 * of Wine 8 refuse.
 */
function send(url: URL, signal: AbortSignal): Promise<IncomingMessage> {
  const { get } = url.protocol === 'https:' ? https : http;
  return new Promise((resolve, reject) => {
    // An agent would keep the connection, and with it this process.
    get(url, { agent: false, signal, headers: { 'user-agent': toolName } }, resolve).on('error', reject);
  });
}

/** Ends a request when the server has been silent for too long. */
class Silence {
  readonly #ms: number;
  readonly #controller = new AbortController();
  #timer: NodeJS.Timeout | undefined;

  constructor(ms: number) {
    this.#ms = ms;
    this.hear();
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** The server has said something. */
  hear(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () => this.#controller.abort(new ServerRefusal(`was silent for ${this.#ms / 1000} s`)),
      this.#ms,
    );
  }

  /** Ends the request in any case. */
  end(): void {
    clearTimeout(this.#timer);
    this.#controller.abort();
  }

  /** The same promise, but for the reason why it rejects. */
  async guard<Result>(work: Promise<Result>): Promise<Result> {
    try {
      return await work;
    } catch (error) {
      const reason: unknown = this.signal.reason;
      throw reason instanceof ServerRefusal ? reason : error;
    }
  }
}

async function* listen(body: AsyncIterable<Uint8Array>, silence: Silence): AsyncGenerator<Uint8Array> {
  const parts = body[Symbol.asyncIterator]();
  try {
    for (;;) {
      const { done, value } = await silence.guard(parts.next());
      if (done === true) return;
      silence.hear();
      yield value;
    }
  } finally {
    silence.end();
  }
}

function checkProtocol({ protocol, hostname }: URL, { allowsPlainLoopback }: ServerLimits): void {
  if (protocol === 'https:') return;
  if (allowsPlainLoopback === true && protocol === 'http:' && hostname === '127.0.0.1') return;
  throw new ServerRefusal(`is to be asked by ${protocol.slice(0, -1)}, and only https is spoken`);
}

/** Writes the file beside its place first. */
async function receive(
  answer: OpenAnswer,
  name: string,
  path: string,
  isWanted: (path: string) => boolean,
  { limits, onProgress }: { limits: ServerLimits; onProgress?: (download: SymbolDownload) => void },
): Promise<void> {
  const { url, sizeBytes, parts, cancel } = answer;
  const known = { name, host: url.host, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
  const partial = `${path}.${randomUUID()}.part`;
  let written: FileHandle | undefined;
  let receivedBytes = 0;
  try {
    if ((sizeBytes ?? 0) > limits.sizeBytesMax) throw new ServerRefusal(tooLarge(limits));
    onProgress?.({ ...known, receivedBytes, isDone: false });
    await mkdir(dirname(path), { recursive: true });
    written = await open(partial, 'wx');
    let announced = 0;
    for await (const part of parts) {
      receivedBytes += part.length;
      if (receivedBytes > limits.sizeBytesMax) throw new ServerRefusal(tooLarge(limits));
      await written.writeFile(part);
      if (receivedBytes - announced < NEWS_STEP_SIZE_BYTES) continue;
      announced = receivedBytes;
      onProgress?.({ ...known, receivedBytes, isDone: false });
    }
    if (sizeBytes !== undefined && receivedBytes !== sizeBytes) throw new ServerRefusal('sent a part of the file only');
    await written.close();
    written = undefined;
    if (!isWanted(partial)) throw new ServerRefusal('sent another file than the one that was asked for');
    await rename(partial, path);
    onProgress?.({ ...known, receivedBytes, isDone: true });
  } finally {
    cancel();
    await written?.close();
    await rm(partial, { force: true });
  }
}

function tooLarge({ sizeBytesMax }: ServerLimits): string {
  return `has a file of more than ${Math.round(sizeBytesMax / 2 ** 20)} MiB, which is not taken`;
}

async function readAll({ parts }: OpenAnswer, sizeBytesMax: number): Promise<string> {
  const read: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const part of parts) {
    sizeBytes += part.length;
    if (sizeBytes > sizeBytesMax) throw new ServerRefusal(`has a ${POINTER_NAME} that is too long`);
    read.push(part);
  }
  return Buffer.concat(read).toString('utf8');
}

function spellRefusal(error: unknown, signal: AbortSignal): string {
  if (error instanceof ServerRefusal) return error.message;
  if (signal.aborted) return 'took longer than all downloads together may take';
  // ECONNREFUSED, ENOTFOUND, CERT_HAS_EXPIRED; or the reason why a file cannot be written.
  const { code, message } = error as { code?: string; message?: string };
  return `could not be used: ${code ?? message ?? String(error)}`;
}
