import { type CompletedCommand, type CompletedOption, listCommands, type Proposal } from './model.ts';

/** Writes the completion for fish 3. */
export function writeFish(tool: CompletedCommand, name: string): string {
  const all = listCommands(tool);
  const deep = all.filter(({ path }) => path.length > 0);
  const taking = all.flatMap(({ path, options }) =>
    options.flatMap(({ names, value }) =>
      value === undefined ? [] : names.map((each) => `${path.join(' ')} ${each}`),
    ),
  );
  const running = all.filter(({ operands }) => operands.some(({ proposal }) => proposal.kind === 'program'));
  return `# Completion of ${name} for fish: ${name} completion fish | source

# Prints the command that is being typed, the number of its operands so far, and the place where its program begins.
function __${name}_place
    set -l words (commandline -opc)
    set -l command
    set -l operands 0
    set -l expected
    set -l ended
    set -l place 1
    set -e words[1]
    for word in $words
        set place (math $place + 1)
        if test -n "$expected"
            set expected
        else if test -z "$ended"; and test "$word" = --
            set ended 1
        else if test -z "$ended"; and string match -q -- '-*' $word
            contains -- "$command $word" ${taking.map(quote).join(' ')}; and set expected 1
        else if test $operands = 0; and contains -- (string trim "$command $word") ${deep.map(({ path }) => quote(path.join(' '))).join(' ')}
            set -a command $word
        else
            set operands (math $operands + 1)
            if contains -- "$command" ${running.map(({ path }) => quote(path.join(' '))).join(' ')}
                printf '%s\\n' "$command" $operands $place
                return
            end
        end
    end
    printf '%s\\n' "$command" $operands 0
end

# Whether a command is being typed, and, if a number is given, whether the operand of this number is next, or one behind.
function __${name}_in
    set -l place (__${name}_place)
    test "$place[1]" = "$argv[1]"; and test $place[3] = 0; or return 1
    test (count $argv) = 1; and return 0
    set -l next (math $place[2] + 1)
    test $next = $argv[2]; and return 0
    test "$argv[3]" = more; and test $next -gt $argv[2]
end

# Whether the words are those of a program, which completes them itself.
function __${name}_in_program
    test (__${name}_place)[3] != 0
end

function __${name}_program
    set -l words (commandline -opc)
    complete -C (string join ' ' -- (string escape -- $words[(__${name}_place)[3]..-1]) (commandline -ct))
end

# Proposes the names, and files behind the "=" of a name.
function __${name}_name_and_file
    set -l typed (string replace -r -- '^--[^=]*=' '' (commandline -ct))
    set -l parts (string split -m 1 -- = $typed)
    if set -q parts[2]
        for file in (complete -C "__${name}_no_command $parts[2]")
            echo $parts[1]=$file
        end
    else
        printf '%s\\n' $argv
    end
end

complete -c ${name} -f
complete -c ${name} -n __${name}_in_program -f -a '(__${name}_program)'
${all.flatMap((command) => spellCommand(command, name)).join('\n')}
`;
}

function spellCommand({ path, options, operands, commands }: CompletedCommand, name: string): readonly string[] {
  const inside = (...places: readonly (number | string)[]): string =>
    quote([`__${name}_in`, `"${path.join(' ')}"`, ...places].join(' '));
  return [
    ...commands.map(
      (each) => `complete -c ${name} -n ${inside(1)} -f -a ${each.path.at(-1)} -d ${quote(each.summary)}`,
    ),
    ...options.map((option) => `complete -c ${name} -n ${inside()} ${spellOption(option, name)}`),
    ...operands.flatMap(({ isRepeatable, proposal }, index) => {
      // A program's own arguments are not in the command.
      const words = proposal.kind === 'program' && index > 0 ? '' : spellProposal(proposal, name);
      const places = isRepeatable ? `${index + 1} more` : index + 1;
      return words === '' ? [] : [`complete -c ${name} -n ${inside(places)} ${words}`];
    }),
  ];
}

function spellOption({ names, description, value }: CompletedOption, name: string): string {
  const spellings = names.map((each) => (each.startsWith('--') ? `-l ${each.slice(2)}` : `-s ${each.slice(1)}`));
  const words =
    value === undefined ? '-f' : [value.isOptional ? '' : '-r', spellProposal(value.proposal, name) || '-f'].join(' ');
  return [...spellings, words.trim(), '-d', quote(description)].join(' ');
}

/** `-F` brings back the files, which are switched off for the tool as a whole. */
function spellProposal(proposal: Proposal, name: string): string {
  switch (proposal.kind) {
    case 'choices':
      return `-f -a ${quote(proposal.choices.join(' '))}`;
    case 'name-and-file':
      return `-f -a ${quote(`(__${name}_name_and_file ${proposal.choices.join(' ')})`)}`;
    case 'files':
    case 'program':
      return '-F';
    case 'directories':
      return `-f -a '(__fish_complete_directories)'`;
    case 'processes':
    case 'nothing':
      return '';
  }
}

function quote(text: string): string {
  return `'${text.replaceAll(/['\\]/g, '\\$&')}'`;
}
