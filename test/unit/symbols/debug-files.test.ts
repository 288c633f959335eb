import { describe, expect, it } from 'vitest';
import type { ModuleWithoutNames } from '../../../src/model.ts';
import { type DebugFiles, explainMissingNames, findPdbReference } from '../../../src/symbols/debug-files.ts';

/** IMAGE_DEBUG_DIRECTORY with these parts. */
function entry(type: number, sizeBytes: number, offset: number): Buffer {
  const bytes = Buffer.alloc(28);
  bytes.writeUInt32LE(type, 12);
  bytes.writeUInt32LE(sizeBytes, 16);
  bytes.writeUInt32LE(offset, 24);
  return bytes;
}

/** CV_INFO_PDB70 with this path. */
function codeView(path: string, signature = 'RSDS'): Buffer {
  const guid = Buffer.from('78563412bc9af0de0123456789abcdef', 'hex');
  const age = Buffer.from([0x1a, 0, 0, 0]);
  return Buffer.concat([Buffer.from(signature), guid, age, Buffer.from(`${path}\0`)]);
}

/** Looks in a debug directory of one entry, whose data is the whole file. */
function find(type: number, file: Buffer, sizeBytes = file.length, offset = 0) {
  return findPdbReference(entry(type, sizeBytes, offset), (at, size) =>
    at + size <= file.length ? file.subarray(at, at + size) : undefined,
  );
}

describe('the PDB of a file', () => {
  it('has the path that the linker wrote, and its GUID and age as a symbol server spells them', () => {
    expect(find(2, codeView('C:\\build\\app.pdb'))).toEqual({
      path: 'C:\\build\\app.pdb',
      id: '123456789ABCDEF00123456789ABCDEF1A',
    });
  });

  it.each<[what: string, found: () => unknown]>([
    ['has no debug directory', () => findPdbReference(undefined, () => undefined)],
    ['has half an entry', () => findPdbReference(Buffer.alloc(20), () => undefined)],
    ['has an entry of another type', () => find(16, codeView('a.pdb'))],
    ['has a record with an empty path', () => find(2, codeView(''))],
    ['has a record of an old form', () => find(2, codeView('a.pdb', 'NB10'))],
    ['has a record that is too short', () => find(2, codeView('a.pdb'), 24)],
    ['has a record beyond its end', () => find(2, codeView('a.pdb'), 40, 1 << 30)],
  ])('is none where the file %s', (_what, found) => {
    expect(found()).toBeUndefined();
  });
});

describe('names are missing', () => {
  const bare: DebugFiles = { hasDwarf: false, isManaged: false };
  const pdb = { path: 'C:\\build\\app.pdb', id: 'AB1' };
  const notFound = { why: 'pdb-not-found', debugFile: pdb.path, pdbId: pdb.id } as const;

  it.each<[because: string, files: DebugFiles | undefined, hasPdb: boolean, Omit<ModuleWithoutNames, 'module'>]>([
    ['the file cannot be read', undefined, false, { why: 'file-unavailable' }],
    ['the file was stripped', bare, false, { why: 'no-debug-information' }],
    ['its PDB was not found', { ...bare, pdb }, false, notFound],
    ['its PDB was not found, and its DWARF does not have them', { ...bare, pdb, hasDwarf: true }, false, notFound],
    ['its PDB does not have them', { ...bare, pdb }, true, { why: 'partly-covered' }],
    ['its DWARF does not have them', { ...bare, hasDwarf: true }, false, { why: 'partly-covered' }],
    [
      'its DWARF was moved to another file',
      { ...bare, link: 'app.debug' },
      false,
      { why: 'debug-file-not-read', debugFile: 'app.debug' },
    ],
    [
      'it is a .NET assembly, whose PDB names no native code',
      { ...bare, pdb, isManaged: true },
      false,
      { why: 'managed' },
    ],
  ])('because %s', (_because, files, hasPdb, expected) => {
    expect(explainMissingNames(files, hasPdb)).toEqual(expected);
  });
});
