import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

import { openTargetFile } from '../../../src/process/target-file.ts';
import { serverLimits } from '../../../src/symbols/store/symbol-server.ts';
import { Symbolizer } from '../../../src/symbols/symbolizer.ts';
import { lowestFreeDescriptor, runPrinter } from './printed-addresses.ts';

const buildFolder = fileURLToPath(new URL('../../../fixtures/build/', import.meta.url));
const scratchFolder = mkdtempSync(join(tmpdir(), 'unclosed-symbols-'));
afterAll(() => rmSync(scratchFolder, { recursive: true, force: true }));

describe('a PDB that is not where the linker wrote it', () => {
  const { program, calls } = runPrinter(join(buildFolder, 'prints-addresses-pdb.exe'));
  const line = { function: calls[0]!.function, line: calls[0]!.line };
  const pdbFolder = join(scratchFolder, 'symbols');
  const moved = { ...program, path: join(scratchFolder, 'moved.exe') };
  mkdirSync(pdbFolder);
  // The name of the PDB in the program becomes another one of the same length.
  const image = readFileSync(program.path);
  const at = image.indexOf('prints-addresses-pdb.pdb');
  image.write('astray-addresses-pdb.pdb', at, 'latin1');
  writeFileSync(moved.path, image);
  copyFileSync(program.path.replace(/exe$/, 'pdb'), join(pdbFolder, 'astray-addresses-pdb.pdb'));

  it('is not found by itself, and is named as the reason why names are missing', () => {
    using symbolizer = new Symbolizer([moved]);
    expect(symbolizer.resolve(calls[0]!.address)).not.toMatchObject(line);
    expect(symbolizer.explainMissingNames(moved.name)).toEqual({
      module: moved.name,
      why: 'pdb-not-found',
      debugFile: expect.stringMatching(/astray-addresses-pdb\.pdb$/),
      pdbId: expect.stringMatching(/^[\dA-F]{33,}$/),
    });
  });

  it('is found along the search path, which may name other directories too', () => {
    using symbolizer = new Symbolizer([moved], { searchPath: `${join(scratchFolder, 'nothing')};${pdbFolder}` });
    expect(symbolizer.resolve(calls[0]!.address)).toMatchObject(line);
    expect(symbolizer.explainMissingNames(moved.name)).toEqual({ module: moved.name, why: 'partly-covered' });
  });

  it('is found beside its program where the program names it on another machine, which is not asked', () => {
    const name = '\\\\a.invalid\\share\\a.pdb';
    const elsewhere = join(scratchFolder, 'elsewhere');
    mkdirSync(elsewhere);
    const path = join(elsewhere, basename(moved.path));
    const shared = Buffer.from(image);
    shared.write(name.padEnd('astray-addresses-pdb.pdb'.length, '\0'), at, 'latin1');
    writeFileSync(path, shared);
    copyFileSync(program.path.replace(/exe$/, 'pdb'), join(elsewhere, 'a.pdb'));
    expect(openTargetFile(name, { sizeBytesMax: 1 << 30 })).toBeUndefined();
    using symbolizer = new Symbolizer([{ ...moved, path }]);
    expect(symbolizer.resolve(calls[0]!.address)).toMatchObject(line);
  });

  describe('is fetched from a symbol server', () => {
    let answer: RequestListener;
    const asked: string[] = [];
    const server = createServer((request, response) => {
      asked.push(request.url ?? '');
      answer(request, response);
    });
    beforeAll(() => new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve)));
    afterAll(() => {
      server.closeAllConnections();
      server.close();
    });
    const openWith = (cache: string): Symbolizer =>
      new Symbolizer([moved], {
        searchPath: `srv*${join(scratchFolder, cache)}*http://127.0.0.1:${(server.address() as AddressInfo).port}`,
        limits: { ...serverLimits, allowsPlainLoopback: true },
      });

    it('where an address of the program is wanted, and once', async () => {
      const pdb = readFileSync(program.path.replace(/exe$/, 'pdb'));
      answer = (_, response) => void response.end(pdb);
      using symbolizer = openWith('cache');
      await symbolizer.fetchSymbols([0n, program.base + BigInt(program.sizeBytes)]);
      expect(asked).toEqual([]);
      await symbolizer.fetchSymbols(calls.map(({ address }) => address));
      for (const call of calls)
        expect(symbolizer.resolve(call.address)).toMatchObject({ function: call.function, line: call.line });
      using second = openWith('cache');
      await second.fetchSymbols([calls[0]!.address]);
      expect(second.resolve(calls[0]!.address)).toMatchObject(line);
      expect(asked).toHaveLength(1);
    });

    it('once where two looks want it at a time, and what was resolved before has names then', async () => {
      const pdb = readFileSync(program.path.replace(/exe$/, 'pdb'));
      asked.length = 0;
      answer = (_, response) => void response.end(pdb);
      const before = lowestFreeDescriptor();
      const symbolizer = openWith('twice');
      const { address } = calls[0]!;
      expect(symbolizer.resolve(address)).not.toHaveProperty('function');
      await Promise.all([symbolizer.fetchSymbols([address]), symbolizer.fetchSymbols([address])]);
      expect(symbolizer.resolve(address)).toMatchObject(line);
      expect(asked).toHaveLength(1);
      symbolizer[Symbol.dispose]();
      expect(lowestFreeDescriptor()).toBe(before);
    });

    it('and closed where nobody wants it any more', async () => {
      const pdb = readFileSync(program.path.replace(/exe$/, 'pdb'));
      answer = (_, response) => void response.end(pdb);
      const before = lowestFreeDescriptor();
      const symbolizer = openWith('late');
      const fetching = symbolizer.fetchSymbols([calls[0]!.address]);
      symbolizer[Symbol.dispose]();
      await fetching;
      expect(lowestFreeDescriptor()).toBe(before);
    });

    it('or not, and the reason is given', async () => {
      answer = (_, response) => void response.writeHead(500).end();
      using symbolizer = openWith('empty');
      await symbolizer.fetchSymbols([calls[0]!.address]);
      expect(symbolizer.explainMissingNames(moved.name)).toMatchObject({
        why: 'pdb-not-found',
        trouble: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+ answered with HTTP 500$/),
      });
    });
  });

  it('is found along _NT_SYMBOL_PATH', () => {
    process.env['_NT_SYMBOL_PATH'] = pdbFolder;
    try {
      using symbolizer = new Symbolizer([moved]);
      expect(symbolizer.resolve(calls[0]!.address)).toMatchObject(line);
    } finally {
      delete process.env['_NT_SYMBOL_PATH'];
    }
  });
});
