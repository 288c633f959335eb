import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';

import { download, type ServerLimits, type SymbolDownload } from '../../../../src/symbols/store/symbol-server.ts';

const file = { name: 'größe.pdb', id: '3249D99D0C4049318610F4E4FB0B69361' };
const limits: ServerLimits = { sizeBytesMax: 1000, silenceMs: 60_000, allowsPlainLoopback: true };
const scratch = mkdtempSync(join(tmpdir(), 'unclosed-server-'));
const path = join(scratch, 'made', 'on', 'demand', 'app.pdb');

let answer: RequestListener;
let asked: string[] = [];
let url: string;
const server = createServer((request, response) => {
  asked.push(request.url ?? '');
  answer(request, response);
});

beforeAll(async () => {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/symbols/`;
});
afterEach(() => {
  asked = [];
  rmSync(join(scratch, 'made'), { recursive: true, force: true });
});
afterAll(() => {
  server.closeAllConnections();
  server.close();
  rmSync(scratch, { recursive: true });
});

const ask = (
  changes: { limits?: Partial<ServerLimits>; isWanted?: (path: string) => boolean; news?: SymbolDownload[] } = {},
  address = url,
): ReturnType<typeof download> =>
  download(address, file, path, changes.isWanted ?? (() => true), {
    limits: { ...limits, ...changes.limits },
    signal: new AbortController().signal,
    onProgress: (each) => changes.news?.push(each),
  });

/** Answers with one file, and not at all with others. */
const give =
  (wanted: RegExp, body: string | Buffer): RequestListener =>
  (request, response) => {
    if (wanted.test(request.url ?? '')) response.end(body);
    else response.writeHead(404).end();
  };

describe('a symbol server', () => {
  it('is asked for a file by its name and its id, and the file is written', async () => {
    answer = give(/\.pdb$/, 'contents');
    const news: SymbolDownload[] = [];
    expect(await ask({ news })).toEqual({ kind: 'written' });
    expect(readFileSync(path, 'utf8')).toBe('contents');
    expect(readdirSync(join(path, '..'))).toEqual(['app.pdb']);
    expect(asked).toEqual([`/symbols/gr%C3%B6%C3%9Fe.pdb/${file.id}/gr%C3%B6%C3%9Fe.pdb`]);
    expect(news.map(({ receivedBytes, sizeBytes, isDone }) => [receivedBytes, sizeBytes, isDone])).toEqual([
      [0, 8, false],
      [8, 8, true],
    ]);
  });

  it('that knows nothing of the file is asked for each of its forms', async () => {
    answer = give(/nothing/, '');
    expect(await ask()).toEqual({ kind: 'absent' });
    expect(asked.map((each) => decodeURIComponent(each.replace(/.*\//, '')))).toEqual([
      'größe.pdb',
      'größe.pd_',
      'file.ptr',
    ]);
    expect(existsSync(path)).toBe(false);
  });

  it('may lead to another place of its own', async () => {
    answer = (request, response) => {
      if (request.url === '/blob') response.end('moved');
      else response.writeHead(302, { location: '/blob' }).end();
    };
    expect(await ask()).toEqual({ kind: 'written' });
    expect(readFileSync(path, 'utf8')).toBe('moved');
  });

  it('may say that the file is elsewhere', async () => {
    answer = give(/file\.ptr$/, 'PATH:\\\\host\\share\\app.pdb\r\n');
    expect(await ask()).toEqual({ kind: 'elsewhere', path: '\\\\host\\share\\app.pdb' });
  });
});

describe('nothing is written, and the reason is given', () => {
  it.each<[why: string, expected: string, listener: RequestListener, limits?: Partial<ServerLimits>]>([
    ['the file is compressed', 'has it only compressed, as größe.pd_', give(/pd_$/, 'MSCF')],
    ['the server fails', 'answered with HTTP 503', (_, response) => response.writeHead(503).end()],
    [
      'the server leads in circles',
      'led from address to address without end',
      (_, response) => response.writeHead(307, { location: '/symbols/' }).end(),
    ],
    [
      'the server leads to a machine without TLS',
      'is to be asked by http, and only https is spoken',
      (_, response) => response.writeHead(302, { location: 'http://example.invalid/' }).end(),
    ],
    [
      'the server leads to a file of this machine',
      'is to be asked by file, and only https is spoken',
      (_, response) => response.writeHead(302, { location: 'file:///etc/passwd' }).end(),
    ],
    [
      'the file is announced as too large',
      'has a file of more than 0 MiB, which is not taken',
      give(/pdb$/, Buffer.alloc(1001)),
    ],
    [
      'the file turns out as too large',
      'has a file of more than 0 MiB, which is not taken',
      (_, response) => {
        response.writeHead(200);
        response.write(Buffer.alloc(600));
        response.end(Buffer.alloc(600));
      },
    ],
    [
      'the connection ends early',
      'could not be used',
      (_, response) => {
        response.writeHead(200, { 'content-length': '900' });
        response.write('half', () => response.destroy());
      },
    ],
    ['the server says nothing', 'was silent for 0.05 s', () => undefined, { silenceMs: 50 }],
    [
      'the server says nothing more',
      'was silent for 0.05 s',
      (_, response) => void response.writeHead(200).write('half'),
      { silenceMs: 50 },
    ],
  ])('where %s', async (_, expected, listener, changes = {}) => {
    answer = listener;
    const found = await ask({ limits: changes });
    expect(found).toMatchObject({ kind: 'refused', why: expect.stringContaining(expected) });
    expect(existsSync(join(path, '..')) ? readdirSync(join(path, '..')) : []).toEqual([]);
  });

  it('where another file came', async () => {
    answer = give(/pdb$/, 'other');
    expect(await ask({ isWanted: () => false })).toMatchObject({
      why: 'sent another file than the one that was asked for',
    });
    expect(readdirSync(join(path, '..'))).toEqual([]);
  });

  it.each([
    ['http://example.com/', 'is to be asked by http, and only https is spoken'],
    ['https://', 'has no valid address'],
    ['ftp://example.com/', 'is to be asked by ftp, and only https is spoken'],
  ])('where the server is %s', async (address, why) => {
    expect(await ask({}, address)).toEqual({ kind: 'refused', why });
    expect(asked).toEqual([]);
  });

  it('where a server of this machine is to be asked without TLS, but for tests', async () => {
    answer = give(/pdb$/, 'contents');
    expect(await ask({ limits: { allowsPlainLoopback: false } })).toMatchObject({ kind: 'refused' });
    expect(asked).toEqual([]);
  });
});
