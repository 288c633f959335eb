import type { ModuleWithoutNames } from '../model.ts';

/** Where an executable file keeps its debug information, as the file itself says. */
export interface DebugFiles {
  /** The PDB that it names. */
  readonly pdb?: PdbReference | undefined;
  /** The file that `objcopy --add-gnu-debuglink` names. */
  readonly link?: string | undefined;
  readonly hasDwarf: boolean;
  /** It is a .NET assembly. */
  readonly isManaged: boolean;
}

/** A PDB as an executable file names it. */
export interface PdbReference {
  /** As the linker wrote it; never empty. */
  readonly path: string;
  /** Its GUID and its age, in hexadecimal digits: a symbol server knows it by this name. */
  readonly id: string;
}

const IMAGE_DEBUG_TYPE_CODEVIEW = 2;
/** CV_INFO_PDB70: DWORD CvSignature 'RSDS', GUID Signature, DWORD Age, BYTE PdbFileName[] */
const PDB_PATH_OFFSET = 24;

/**
 * The PDB that a file's debug directory names; `undefined` where it names none.
 *
 * lld puts a record with an empty name into programs with DWARF, as a build id.
 *
 * @param entries the debug directory
 * @param read reads a part of the file
 */
export function findPdbReference(
  entries: Buffer | undefined,
  read: (offset: number, sizeBytes: number) => Buffer | undefined,
): PdbReference | undefined {
  // IMAGE_DEBUG_DIRECTORY: 28 bytes, +12 DWORD Type, +16 SizeOfData, +24 PointerToRawData
  for (let at = 0; entries !== undefined && at + 28 <= entries.length; at += 28) {
    if (entries.readUInt32LE(at + 12) !== IMAGE_DEBUG_TYPE_CODEVIEW) continue;
    const record = read(entries.readUInt32LE(at + 24), Math.min(entries.readUInt32LE(at + 16), 1024));
    if (record === undefined || record.length <= PDB_PATH_OFFSET || record.toString('latin1', 0, 4) !== 'RSDS')
      continue;
    const path = record.toString('utf8', PDB_PATH_OFFSET).replace(/\0.*$/s, '');
    if (path !== '') return { path, id: spellPdbId(record.subarray(4, 20), record.readUInt32LE(20)) };
  }
  return undefined;
}

/**
 * The name of a PDB on a symbol server.
 *
 * @param guid 16 bytes: DWORD Data1, WORD Data2, WORD Data3, BYTE Data4[8]
 */
export function spellPdbId(guid: Buffer, age: number): string {
  const digits = (value: number, count: number): string => value.toString(16).padStart(count, '0');
  const parts = [
    digits(guid.readUInt32LE(0), 8),
    digits(guid.readUInt16LE(4), 4),
    digits(guid.readUInt16LE(6), 4),
    guid.toString('hex', 8, 16),
    age.toString(16),
  ];
  return parts.join('').toUpperCase();
}

/**
 * Why functions of a module have no names.
 *
 * @param files `undefined` when the module's file cannot be read
 * @param hasPdb whether its PDB was found
 * @param trouble why a symbol store or server did not give it
 */
export function explainMissingNames(
  files: DebugFiles | undefined,
  hasPdb: boolean,
  trouble?: string,
): Omit<ModuleWithoutNames, 'module'> {
  if (files === undefined) return { why: 'file-unavailable' };
  const { pdb, link, hasDwarf, isManaged } = files;
  // The PDB of an assembly is of another format, and names no native code.
  if (isManaged) return { why: 'managed' };
  // A program may have both: DWARF of the compiler's runtime, and a PDB of its own code.
  if (pdb !== undefined && !hasPdb)
    return { why: 'pdb-not-found', debugFile: pdb.path, pdbId: pdb.id, ...(trouble === undefined ? {} : { trouble }) };
  if (hasPdb || hasDwarf) return { why: 'partly-covered' };
  if (link !== undefined) return { why: 'debug-file-not-read', debugFile: link };
  return { why: 'no-debug-information' };
}
