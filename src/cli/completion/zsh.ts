import { type CompletedCommand, type CompletedOption, listCommands, type Proposal } from './model.ts';

/** Writes the completion for zsh, to be sourced or to lie in a directory of `$fpath` as a file `_unclosed`. */
export function writeZsh(tool: CompletedCommand, name: string): string {
  const functions = listCommands(tool).map((command) => spellFunction(command, name));
  return `#compdef ${name} ${name}.cmd
# Completion of ${name} for zsh: source <(${name} completion zsh), after compinit
(( $+functions[compdef] )) && compdef _${name} ${name} ${name}.cmd

${functions.join('\n')}
# One of the names, alone or with a file behind "=".
_${name}_name_and_file() {
  if compset -P '*='; then _files; else compadd -qS '=' -- "$@"; fi
}

# The first word is a program's file, and the others are its own.
_${name}_program() {
  if (( CURRENT == 1 )); then _files; else _normal; fi
}

if [[ \${funcstack[1]} == _${name} ]]; then _${name} "$@"; fi
`;
}

function spellFunction(command: CompletedCommand, name: string): string {
  const { path, options, operands, commands } = command;
  const self = nameFunction(path, name);
  const specs = options.flatMap(spellOption);
  if (commands.length === 0) {
    const isProgram = operands.some(({ proposal }) => proposal.kind === 'program');
    const places = isProgram
      ? [`'*::program:_${name}_program'`]
      : operands.map(({ name: what, isRepeatable, proposal }) =>
          quote(`${isRepeatable ? '*' : ''}:${what}:${spellProposal(proposal, name)}`),
        );
    return `${self}() {\n  _arguments -S ${[...specs, ...places].join(' \\\n    ')}\n}\n`;
  }
  const rows = commands.map((each) => quote(`${each.path.at(-1)}:${each.summary.replaceAll(':', '\\:')}`));
  const cases = commands.map((each) => `        ${each.path.at(-1)}) ${nameFunction(each.path, name)} ;;`);
  return `${self}() {
  local curcontext=$curcontext state
  local -a commands=(
    ${rows.join('\n    ')}
  )
  typeset -A opt_args
  _arguments -C -S ${[...specs, `'1:command:->command'`, `'*::argument:->rest'`].join(' \\\n    ')}
  case $state in
    command) _describe -t commands command commands ;;
    rest)
      curcontext=\${curcontext%:*}-$words[1]:
      case $words[1] in
${cases.join('\n')}
      esac ;;
  esac
}
`;
}

/** A row for each spelling. Those of one option exclude each other, unless it may be repeated. */
function spellOption({ names, description, isRepeatable, value }: CompletedOption): readonly string[] {
  const others = isRepeatable ? '*' : `(${names.join(' ')})`;
  return names.map((each) => {
    const sign = value === undefined ? '' : each.startsWith('--') ? '=' : '+';
    const places =
      value === undefined
        ? ''
        : `${value.isOptional ? '::' : ':'}${value.name.replaceAll(/[:[\]]/g, '\\$&')}:${spellProposal(value.proposal)}`;
    return quote(`${others}${each}${sign}[${description.replaceAll(/[[\]:\\]/g, '\\$&')}]${places}`);
  });
}

function spellProposal(proposal: Proposal, name = 'unclosed'): string {
  switch (proposal.kind) {
    case 'choices':
      return `(${proposal.choices.join(' ')})`;
    case 'name-and-file':
      return `_${name}_name_and_file ${proposal.choices.join(' ')}`;
    case 'files':
    case 'program':
      return '_files';
    case 'directories':
      return '_files -/';
    case 'processes':
    case 'nothing':
      return ' ';
  }
}

function nameFunction(path: readonly string[], name: string): string {
  return ['', name, ...path].join('_');
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
