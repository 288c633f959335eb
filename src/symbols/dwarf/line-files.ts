import type { MemoryBudget } from '../memory-budget.ts';
import type { ByteCursor } from './byte-cursor.ts';
import type { DwarfSections, DwarfUnit } from './unit-headers.ts';
import { readRaw, textOf, type UnitBases } from './values.ts';

const DW_LNCT_path = 1;
const DW_LNCT_directory_index = 2;
/** No compiler names files by the indexed forms. */
const NO_BASES: UnitBases = { addresses: 0, stringOffsets: 0, rangeLists: 0 };
/** DWARF has five kinds of content, and compilers add one or two. */
const FORMATS_MAX = 16;
/** Approximate size of a file or directory in memory, without its path. */
const FILE_SIZE_BYTES = 100;

/** The header of a line table, from where its lists of directories and files begin. */
interface FileLists {
  readonly cursor: ByteCursor;
  readonly version: number;
  readonly isWide: boolean;
  /** The directory that the compiler ran in. */
  readonly directory: string;
}

/**
 * The paths of the files of a line table, by their number.
 *
 * @throws RangeError for damaged lists, and for lists that find no room in memory
 */
export function readFiles(lists: FileLists, sections: DwarfSections, budget: MemoryBudget): readonly string[] {
  const keep = (path: string): string => {
    budget.spend(FILE_SIZE_BYTES + 2 * path.length);
    return path;
  };
  return lists.version >= 5 ? readFilesOfVersion5(lists, sections, keep) : readFilesOfVersion4(lists, keep);
}

/** Files are numbered from 1, and directory 0 is the one that the compiler ran in. */
function readFilesOfVersion4({ cursor, directory }: FileLists, keep: (path: string) => string): readonly string[] {
  const directories = [directory];
  for (let name = cursor.text(); name !== ''; name = cursor.text()) directories.push(keep(join(directory, name)));
  const files = [''];
  for (let name = cursor.text(); name !== ''; name = cursor.text()) {
    files.push(keep(join(directories[cursor.uleb()] ?? '', name)));
    cursor.uleb(); // time of last modification
    cursor.uleb(); // size
  }
  return files;
}

/** Files are numbered from 0, and the table spells out the directory that the compiler ran in as directory 0. */
function readFilesOfVersion5(
  { cursor, isWide, directory: compilationDirectory }: FileLists,
  sections: DwarfSections,
  keep: (path: string) => string,
): readonly string[] {
  const context: DwarfUnit = { start: 0, end: 0, entriesAt: 0, isWide, version: 5, addressSize: 8, abbreviationsAt: 0 };
  const own = { ...sections, info: sections.line }; // DW_FORM_string stands in this section
  const readEntries = (toPath: (name: string, directory: number, index: number) => string): readonly string[] => {
    const formatCount = cursor.u8();
    if (formatCount > FORMATS_MAX) throw new RangeError('Too many formats');
    const formats = Array.from({ length: formatCount }, () => ({ attribute: cursor.uleb(), form: cursor.uleb() }));
    const count = cursor.uleb();
    if (formats.length === 0 || count > cursor.remaining) throw new RangeError('More files than bytes to name them');
    const paths: string[] = [];
    for (let index = 0; index < count; index++) {
      let [name, directory] = ['', 0];
      for (const format of formats) {
        const raw = readRaw(cursor, format, context);
        if (format.attribute === DW_LNCT_path) name = textOf(raw, context, NO_BASES, own) ?? '';
        if (format.attribute === DW_LNCT_directory_index) directory = raw.value;
      }
      paths.push(keep(toPath(name, directory, index)));
    }
    return paths;
  };
  let firstName = '';
  const directories = readEntries((name, _directory, index) => {
    if (index > 0) return join(firstName, name);
    firstName = name;
    return join(compilationDirectory, name);
  });
  return readEntries((name, directory) => join(directories[directory] ?? '', name));
}

function join(directory: string, name: string): string {
  if (directory === '' || /^(?:[\\/]|[a-z]:)/i.test(name)) return name;
  return /[\\/]$/.test(directory) ? directory + name : `${directory}/${name}`;
}
