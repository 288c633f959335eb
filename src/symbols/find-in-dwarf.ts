import type { SourceLine } from './dwarf/lines.ts';
import type { ExecutableFile } from './executable-file.ts';
import { spellLine } from './source-path.ts';

/** A function, and those inlined at an address in it, the innermost first. */
interface FoundFunction {
  readonly name: string;
  readonly begin: number;
  readonly line?: SourceLine;
  readonly inlined: readonly { readonly name: string; readonly line?: SourceLine }[];
}

/** The functions at an address by DWARF, each at the line where it called the one that was inlined. */
export function findInDwarf(
  file: ExecutableFile | undefined,
  rva: number,
  { wantsLines }: { readonly wantsLines: boolean },
): FoundFunction | undefined {
  const found = file?.dwarfFunctionOf(rva);
  if (found === undefined) return undefined;
  const { name, begin, inlined } = found;
  if (!wantsLines) return { name, begin, inlined: [] };
  const lines = [file?.lineOf(rva), ...inlined.map(({ call }) => call)].map(spellLine);
  const outerLine = lines.at(-1);
  return {
    name,
    begin,
    inlined: inlined.map((each, index) => ({ name: each.name, ...(lines[index] && { line: lines[index] }) })),
    ...(outerLine && { line: outerLine }),
  };
}
