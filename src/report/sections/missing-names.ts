import type { Finding, Frame, MissingNames, ModuleWithoutNames, Report, Stack } from '../../model.ts';
import { baseName } from '../paths.ts';
import { siteFrame, type StackView } from '../stacks/stack-view.ts';
import { wrapBullet, wrapText } from '../text-width.ts';

/** How many modules a line names. */
const namedModules = 5;

/** Why names are missing, and what would help; in the order in which a person can do something about it. */
const reasons: Readonly<Record<MissingNames, string>> = {
  'pdb-not-found':
    'no PDB with the right GUID was found. Put it beside the module, or name its directory with --symbols',
  'debug-file-not-read':
    'the debug information is in a file of its own, which is not read. Audit a build that has it in the program',
  'no-debug-information':
    'built without debug information, or stripped of it. Build with -g (GCC, clang), debug = true (Rust), or /Zi and /DEBUG (Visual C++)',
  'file-unavailable': 'the file is gone, was replaced, or is on a network drive that you did not name',
  'partly-covered': 'the debug information does not have these functions',
  managed: 'managed code of .NET, whose methods have no native symbols',
  'made-at-run-time':
    'made at run time, as by a JIT compiler, and without symbols. Those of Node.js have names with --js',
};

/** A line for each reason why frames that the report shows have no names: the frames themselves do not say it. */
export function drawMissingNames(
  report: Report,
  serious: readonly Finding[],
  { theme, width }: StackView,
): readonly string[] {
  const lines = spellMissingNames(report, serious);
  if (lines.length === 0) return [];
  return [
    ...wrapText('Why functions have no names:', width).map((line) => theme.dim(line)),
    ...lines.flatMap((line) => wrapBullet(theme.escape(line), theme.signs.bullet, width)),
  ];
}

/** A sentence for each reason. The texts are not escaped. */
export function spellMissingNames(
  { modulesWithoutNames = [] }: Report,
  serious: readonly Finding[],
): readonly string[] {
  if (modulesWithoutNames.length === 0) return [];
  const stacks = serious.flatMap((finding) => Object.values<Stack>(finding.stacks));
  const sites = modulesOf(stacks.flatMap((stack) => siteFrame(stack) ?? []));
  const all = modulesOf(stacks.flat());
  // A function or two that the compiler's runtime brings without debug information are nothing to do anything about.
  const isOfInterest = ({ module, why }: ModuleWithoutNames): boolean =>
    (why === 'partly-covered' ? sites : all).has(module);
  const modules = modulesWithoutNames.filter(isOfInterest);
  return Object.entries(reasons).flatMap(([why, reason]) => {
    const concerned = modules.filter((each) => each.why === why);
    if (concerned.length === 0) return [];
    const troubles = concerned.flatMap(({ debugFile = '', trouble }) =>
      trouble === undefined ? [] : [`${baseName(debugFile)}: ${trouble}.`],
    );
    return [`${spellModules(concerned)}: ${reason}.`, ...troubles.slice(0, namedModules)];
  });
}

/** Modules that have a function without a name among these frames. */
function modulesOf(frames: readonly Frame[]): ReadonlySet<string> {
  return new Set(
    frames.filter((frame) => frame.function === undefined && frame.javascript !== true).map(({ module }) => module),
  );
}

/** `bun.exe (bun.pdb), a.dll (a.pdb) and 3 more` */
function spellModules(modules: readonly ModuleWithoutNames[]): string {
  const names = modules.slice(0, namedModules).map(({ module, debugFile }) => {
    const name = module === '?' ? 'code outside of all modules' : baseName(module);
    return debugFile === undefined ? name : `${name} (${baseName(debugFile)})`;
  });
  const rest = modules.length - names.length;
  return `${names.join(', ')}${rest === 0 ? '' : ` and ${rest} more`}`;
}
