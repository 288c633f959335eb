import { ruleNames } from '../rules.ts';
import { exitCodePolicies } from './config.ts';

/** The form of a value in a configuration file. Its description is what an editor shows. */
export type Shape = { readonly description: string } & (
  | { readonly kind: 'flag' }
  | { readonly kind: 'choice'; readonly values: readonly string[] }
  | { readonly kind: 'number'; readonly least: number; readonly most: number }
  | { readonly kind: 'text'; readonly form?: TextForm }
  | { readonly kind: 'list'; readonly of: Shape }
  | { readonly kind: 'object'; readonly members: Members; readonly required?: readonly string[] }
);

/** A pattern that a text must match, and a text that does. */
interface TextForm {
  readonly pattern: string;
  readonly example: string;
}

type Members = Readonly<Record<string, Shape>>;

const flag = (description: string): Shape => ({ kind: 'flag', description });
const text = (description: string, form?: TextForm): Shape => ({
  kind: 'text',
  description,
  ...(form === undefined ? {} : { form }),
});
const list = (description: string, of: Shape): Shape => ({ kind: 'list', description, of });
const whole = (description: string, least: number, most: number): Shape => ({
  kind: 'number',
  description,
  least,
  most,
});

const patterns = (verb: string): Shape => ({
  kind: 'object',
  description: `Names of modules and processes. * stands for any text, and case does not matter. Findings that are ${verb} are suppressed.`,
  members: {
    modules: list(
      'File names of modules, such as app.exe or vendor-*.dll. A finding belongs to the module whose code made the call.',
      text('A file name.'),
    ),
    processes: list('File names of programs, such as worker-*.exe.', text('A file name.')),
  },
});

/** Every key of a configuration file. schema/config.schema.json says the same to editors. */
export const configShape: Shape = {
  kind: 'object',
  description:
    'Configuration of unclosed. Paths are relative to this file. A flag beats the environment, which beats this file.',
  members: {
    $schema: text('Where an editor finds the schema of this file.'),
    failOn: {
      kind: 'choice',
      description: 'The lowest level of findings that makes the exit code 1. By default: warning.',
      values: ['error', 'warning', 'note', 'never'],
    },
    requireComplete: flag('Whether an incomplete report makes the exit code 3.'),
    exitCodePolicy: {
      kind: 'choice',
      description:
        'Which result decides the exit code of run: that of the findings (the default), that of the program, or both, where the first one named goes before the other.',
      values: exitCodePolicies,
    },
    rules: {
      kind: 'object',
      description:
        'The level of each rule. It replaces error and warning; what the rule itself calls a note stays one. off suppresses all findings of the rule.',
      members: Object.fromEntries(
        ruleNames.map((rule) => [
          rule,
          {
            kind: 'choice',
            description: `docs/findings.md explains ${rule}.`,
            values: ['error', 'warning', 'note', 'off'],
          },
        ]),
      ),
    },
    baseline: text('The file of findings that are known.'),
    suppressions: list('Findings that are accepted.', {
      kind: 'object',
      description: 'A line of suppressions, with its reason.',
      members: {
        match: text('As a line of a file of suppressions, such as leak:app.exe!init_pool.', {
          pattern: '^[a-z*-]+:(?!.*\\s#(\\s|$))[^\\u0000-\\u001f]+$',
          example: 'leak:app.exe!init_pool',
        }),
        reason: text('Why the finding is accepted, in one line.', {
          pattern: '^[^\\u0000-\\u001f]*[^\\s\\u0000-\\u001f][^\\u0000-\\u001f]*$',
          example: 'the pool lives as long as the program',
        }),
        expires: text('The last day on which it is accepted, in UTC.', {
          pattern: '^\\d{4}-\\d{2}-\\d{2}$',
          example: '2027-01-31',
        }),
      },
      required: ['match', 'reason'],
    }),
    suppressionFiles: list('Files of suppressions.', text('A path.')),
    defaultSuppressions: flag('Whether the default suppressions are in force. By default: true.'),
    reporters: list(
      'Reports to write, unless --reporter or --json is given.',
      text('name or name=file, as for --reporter.'),
    ),
    notes: flag('Whether findings of level note are shown, and accepted by a new baseline.'),
    symbols: list(
      'Where to look for PDB files before _NT_SYMBOL_PATH.',
      text('A directory, or a symbol server such as srv*C:\\symbols*https://msdl.microsoft.com/download/symbols.'),
    ),
    include: patterns('of no name in it'),
    exclude: patterns('of a name in it'),
    mark: text('The event by which the end of each iteration is marked, or pipe:name.'),
    warmUp: whole('How many of the first iterations may fill caches and pools. By default: 2.', 0, 1_000_000),
    settle: text('How long a mark waits at most for handles that another thread still closes.', {
      pattern: '^\\d+(\\.\\d+)?(ms|s|m|h)$',
      example: '500ms',
    }),
    leaksBySection: flag(
      'Whether a handle that a section opens and leaves open at its end is a leak. It needs a mark such as pipe:name.',
    ),
    followChildren: flag('Whether run records child processes, too.'),
    waitChildren: flag('Whether run goes on until all child processes have ended.'),
    only: list(
      'Programs whose processes are judged. Others are followed only. --only replaces them all.',
      text('A program, such as worker.exe.'),
    ),
    skip: list(
      'Programs that are left alone as child processes, with all that they start. --skip replaces them all.',
      text('A program, such as git.exe.'),
    ),
    quarantine: whole('How many closed handle values run gives to no new handle.', 1, 1 << 16),
    maxHandles: whole('How many different handle values can be recorded. By default: 1048576.', 1024, 1 << 24),
    history: whole(
      'How many earlier lives of each handle value are kept. The number is rounded up to a power of two. By default: 4.',
      1,
      32,
    ),
  },
};
