import type { SourceLine } from './dwarf/lines.ts';
import type { ExecutableFile } from './executable-file.ts';
import type { PdbFile, PdbFunction } from './pdb/pdb-file.ts';
import { spellLine } from './source-path.ts';
import { undecorate } from './undecorate.ts';

/** Code without unwind data counts as part of the nearest public symbol up to this distance. */
const FUNCTION_SIZE_BYTES_MAX = 65_536;

/** The unwind data of the file, which say what function an address is in. */
type Unwinding = Pick<ExecutableFile, 'functionAt'>;

/** Whether lines, and with them inlined functions, are of use. */
interface Wish {
  readonly wantsLines: boolean;
}

/**
 * The function that holds an address, with lines and inlined functions, by a PDB; `undefined` where none is certain to
 * be.
 *
 * @param file `undefined` where it cannot be read: then symbols alone say where a function ends
 */
export function findInPdb(
  pdb: PdbFile,
  file: Unwinding | undefined,
  rva: number,
  { wantsLines }: Wish,
): PdbFunction | undefined {
  const found = pdb.find(rva) ?? findApart(pdb, file, rva) ?? findPublic(pdb, file, rva);
  if (found === undefined) return undefined;
  const plain = { name: undecorate(found.name), begin: found.begin };
  if (!wantsLines) return { ...plain, inlined: [] };
  const spell = <Part extends { readonly line?: SourceLine }>(part: Part): Part => {
    const line = spellLine(part.line);
    return line === undefined ? part : { ...part, line };
  };
  return spell({ ...found, ...plain, inlined: found.inlined.map(spell) });
}

/** A part that lies apart from its function, without a symbol of its own, belongs to the function by unwind data. */
function findApart(pdb: PdbFile, file: Unwinding | undefined, rva: number): PdbFunction | undefined {
  const begin = file?.functionAt(rva)?.begin;
  const found = begin === undefined ? undefined : pdb.find(begin);
  return found && withLine(pdb, { name: found.name, begin: found.begin }, rva);
}

/** The nearest public symbol below an address, where that is in the same function: these symbols have no sizes. */
function findPublic(pdb: PdbFile, file: Unwinding | undefined, rva: number): PdbFunction | undefined {
  const nearest = pdb.publicAt(rva);
  if (nearest === undefined) return undefined;
  const begin = file?.functionAt(rva)?.begin;
  const other = file?.functionAt(nearest.begin)?.begin;
  if (begin === undefined) {
    const isNear = other === undefined && rva - nearest.begin < FUNCTION_SIZE_BYTES_MAX;
    return isNear ? withLine(pdb, nearest, rva) : undefined;
  }
  if (begin === other) return withLine(pdb, nearest, rva);
  const first = pdb.publicAt(begin);
  return first?.begin === begin ? withLine(pdb, first, rva) : undefined;
}

function withLine(pdb: PdbFile, symbol: { name: string; begin: number }, rva: number): PdbFunction {
  const line = pdb.lineOf(rva);
  return { ...symbol, inlined: [], ...(line && { line }) };
}
