import type { SourceLine } from './dwarf/lines.ts';
import type { ExecutableFile } from './executable-file.ts';
import type { GoFunction } from './go/functions.ts';
import { spellLine } from './source-path.ts';

/** The function of Go that holds an address, with the lines spelt as those of other languages. */
export function findInGo(file: Pick<ExecutableFile, 'goFunctions'> | undefined, rva: number): GoFunction | undefined {
  const found = file?.goFunctions?.find(rva);
  if (found === undefined) return undefined;
  const spell = <Part extends { readonly line?: SourceLine }>(part: Part): Part => {
    const line = spellLine(part.line);
    return line === undefined ? part : { ...part, line };
  };
  return { ...spell(found), inlined: found.inlined.map(spell) };
}
