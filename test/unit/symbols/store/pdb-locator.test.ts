import { existsSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

import { afterAll, afterEach, describe, expect, it, vi } from 'vitest';

import { MemoryBudget } from '../../../../src/symbols/memory-budget.ts';
import { PdbLocator } from '../../../../src/symbols/store/pdb-locator.ts';
import { serverLimits } from '../../../../src/symbols/store/symbol-server.ts';
import { buildPdb, PDB_ID } from '../pdb/pdb-bytes.ts';

const scratch = mkdtempSync(join(tmpdir(), 'unclosed-locator-'));
const at = (...parts: readonly string[]): string => join(scratch, ...parts);
afterEach(() => {
  for (const name of readdirSync(scratch)) rmSync(at(name), { recursive: true });
});
afterAll(() => rmSync(scratch, { recursive: true }));

const right = buildPdb({});
const wrong = buildPdb({ age: 2 });
const reference = { path: 'C:\\build\\app.pdb', id: PDB_ID };
const modulePath = at('bin', 'app.exe');

function write(bytes: Buffer | string, ...parts: readonly string[]): void {
  mkdirSync(dirname(at(...parts)), { recursive: true });
  writeFileSync(at(...parts), bytes);
}

/** @param asked gets each path that was to be opened outside of the places that the user named */
function locate(searchPath: string, asked: string[] = []): PdbLocator {
  return new PdbLocator({
    searchPath,
    defaultCache: at('default'),
    budget: new MemoryBudget(),
    openFile: (path, isUsers) => {
      if (!isUsers) asked.push(path);
      return existsSync(path) ? openSync(path, 'r') : undefined;
    },
    limits: { ...serverLimits, allowsPlainLoopback: true },
  });
}

function finds(searchPath: string): boolean {
  using file = locate(searchPath).open(reference, modulePath);
  return file?.id === PDB_ID;
}

describe('a PDB is found', () => {
  it.each<[where: string, parts: readonly string[], searchPath: () => string]>([
    ['beside the module', ['bin', 'app.pdb'], () => ''],
    ['in a directory', ['pdb', 'app.pdb'], () => `${at('nothing')};${at('pdb')}`],
    ['in a store', ['store', 'app.pdb', PDB_ID, 'app.pdb'], () => `srv*${at('store')}`],
    ['in a directory that is a store', ['store', 'app.pdb', PDB_ID, 'app.pdb'], () => at('store')],
    ['in a cache', ['cache', 'app.pdb', PDB_ID, 'app.pdb'], () => `cache*${at('cache')}`],
    ['behind a nearer store', ['far', 'app.pdb', PDB_ID, 'app.pdb'], () => `srv*${at('near')}*${at('far')}`],
    ['in the cache of a server', ['default', 'app.pdb', PDB_ID, 'app.pdb'], () => 'srv**https://example.invalid'],
  ])('%s', (_, parts, searchPath) => {
    write(right, ...parts);
    expect(finds(searchPath())).toBe(true);
  });

  it('in a store of two tiers', () => {
    write('', 'store', 'index2.txt');
    write(right, 'store', 'ap', 'app.pdb', PDB_ID, 'app.pdb');
    expect(finds(`srv*${at('store')}`)).toBe(true);
  });

  it('where a store says that it is', () => {
    write(right, 'elsewhere', 'app.pdb');
    write(`PATH:${at('elsewhere', 'app.pdb')}`, 'store', 'app.pdb', PDB_ID, 'file.ptr');
    expect(finds(`srv*${at('store')}`)).toBe(true);
  });

  it('although another one of that name is nearer', () => {
    write(wrong, 'bin', 'app.pdb');
    write('no PDB at all', 'first', 'app.pdb');
    write(right, 'second', 'app.pdb');
    expect(finds(`${at('first')};${at('second')}`)).toBe(true);
  });
});

describe('a PDB is not found', () => {
  it('where its GUID or its age is another one', () => {
    write(wrong, 'bin', 'app.pdb');
    expect(finds('')).toBe(false);
  });

  it('where it is compressed, and the reason is given', () => {
    write('MSCF', 'store', 'app.pdb', PDB_ID, 'app.pd_');
    const locator = locate(`srv*${at('store')}`);
    expect(locator.open(reference, modulePath)).toBeUndefined();
    expect(locator.troubleOf(reference)).toMatch(/app\.pd_ is compressed\. Try: expand\.exe/);
  });

  it.each(['..', 'C:\\a\\..', 'C:\\a\\nul', 'app.pdb:stream', '\\\\.\\pipe\\x\\..'])(
    'by the name %j, which leads out of every directory',
    (path) => {
      const asked: string[] = [];
      expect(locate(at('pdb'), asked).open({ path, id: PDB_ID }, modulePath)).toBeUndefined();
      // The path that the linker wrote is looked at by the rules for paths of targets, and no other.
      expect(asked).toEqual([path]);
    },
  );
});

describe('a symbol server', () => {
  it('is not asked where the symbol path names none', async () => {
    expect(locate(`${at('pdb')};srv*${at('store')}`).hasServers).toBe(false);
    expect(await locate(at('pdb')).fetch(reference)).toBeUndefined();
  });

  it('gives a file, which is found in the cache from then on', async () => {
    let asked = 0;
    const server = createServer((_, response) => {
      asked++;
      response.end(right);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const searchPath = `srv*${at('cache')}*http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      expect(finds(searchPath)).toBe(false);
      const locator = locate(searchPath);
      expect(locator.hasServers).toBe(true);
      using file = await locator.fetch(reference);
      expect(file?.id).toBe(PDB_ID);
      expect(finds(searchPath)).toBe(true);
      expect(asked).toBe(1);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });

  it.each<[what: string, status: number, asksAgain: boolean]>([
    ['fails is asked again, but not in the same minute', 503, true],
    ['does not have the file is not asked again', 404, false],
  ])('that %s', async (what, status, asksAgain) => {
    vi.useFakeTimers({ toFake: ['hrtime'] });
    let isWell = false;
    const server = createServer((_, response) => {
      if (isWell) response.end(right);
      else response.writeHead(status).end();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const searchPath = `srv*${at('cache')}*http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const isFetched = async (): Promise<boolean> => {
      using file = await locate(searchPath).fetch(reference);
      return file !== undefined;
    };
    try {
      expect(await isFetched(), what).toBe(false);
      isWell = true;
      vi.advanceTimersByTime(50_000);
      expect(await isFetched()).toBe(false);
      vi.advanceTimersByTime(11_000);
      expect(await isFetched()).toBe(asksAgain);
    } finally {
      vi.useRealTimers();
      server.closeAllConnections();
      server.close();
    }
  });

  it('that gives the file of another program is not believed', async () => {
    const server = createServer((_, response) => void response.end(wrong));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const locator = locate(`srv*${at('cache')}*http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    try {
      expect(await locator.fetch(reference)).toBeUndefined();
      expect(locator.troubleOf(reference)).toContain('sent another file than the one that was asked for');
      expect(readdirSync(at('cache', 'app.pdb', PDB_ID))).toEqual([]);
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
