import { type CompletedCommand, listCommands, type Proposal } from './model.ts';

/** Kinds of words, as the script names them. */
function spellProposal(proposal: Proposal): string {
  return 'choices' in proposal
    ? `kind=${proposal.kind} choices=${quote(proposal.choices.join(' '))}`
    : `kind=${proposal.kind}`;
}

/** The rows of a `case` for a command. The keys are its path, and an option or the place of an operand. */
function spellPlaces({ path, options, operands, commands }: CompletedCommand): readonly string[] {
  const key = (what: string): string => quote([...path, what].join(' '));
  const names = [...options.flatMap((option) => option.names), ...commands.map((each) => each.path.at(-1))];
  return [
    `    ${key('words')}) choices=${quote(names.join(' '))} ;;`,
    ...options.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [
            `    ${names.map(key).join('|')}) ${spellProposal(value.proposal)}${value.isOptional ? ' optional=1' : ''} ;;`,
          ],
    ),
    ...operands.map(({ isRepeatable, proposal }, index) => {
      // The last operand may stand at every later place.
      const place = isRepeatable ? `${key(`operand ${index + 1}`)}|${key('operand ')}*` : key(`operand ${index + 1}`);
      return `    ${place}) ${spellProposal(proposal)} ;;`;
    }),
  ];
}

/** Writes the completion for bash 4.4 and newer. */
export function writeBash(tool: CompletedCommand, name: string): string {
  const commands = listCommands(tool).filter(({ path }) => path.length > 0);
  return `# Completion of ${name} for bash: source <(${name} completion bash)
# Files are left to bash itself, which knows how to quote them.

_${name}_look_up() {
  kind= choices= optional=
  case "$1" in
${listCommands(tool).flatMap(spellPlaces).join('\n')}
  esac
}

_${name}() {
  local -a words=()
  local word kind choices optional command= expected= current= i
  local -i operands=0 ended=0 joined=0
  COMPREPLY=()
  # Bash splits words at "=": they are joined again.
  for ((i = 1; i <= COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if ((\${#words[@]} > 0)) && [[ $joined == 1 || $word == = ]]; then words[-1]+=$word; else words+=("$word"); fi
    if [[ $word == = ]]; then joined=1; else joined=0; fi
  done
  current=\${words[-1]}

  for ((i = 0; i < \${#words[@]} - 1; i++)); do
    word=\${words[i]}
    if [[ $expected ]]; then
      expected=
      if [[ ! $optional || $word != -* ]]; then continue; fi
    fi
    if ((!ended)) && [[ $word == -- ]]; then
      ended=1
    elif ((!ended)) && [[ $word == -*=* ]]; then
      continue
    elif ((!ended)) && [[ $word == -?* ]]; then
      _${name}_look_up "$command$word"
      expected=$kind
    else
      case "$command$word" in
        ${commands.map(({ path }) => quote(path.join(' '))).join('|')})
          if ((operands == 0 && !ended)); then command+="$word " && continue; fi ;;
      esac
      operands+=1
      _${name}_look_up "\${command}operand $operands"
      if [[ $kind == program ]]; then
        # The words from here on are the program's own.
        _${name}_program $((COMP_CWORD - \${#words[@]} + 1 + i))
        return
      fi
    fi
  done

  if [[ $expected && $optional && $current == -* ]]; then expected=; fi
  if [[ ! $expected ]] && ((!ended)) && [[ $current == -*=* ]]; then
    _${name}_look_up "$command\${current%%=*}"
    current=\${current#*=}
  elif [[ ! $expected ]] && ((!ended)) && [[ $current == -* ]]; then
    _${name}_look_up "\${command}words"
    _${name}_choose "$current" '-*'
    kind=
  elif [[ ! $expected ]]; then
    _${name}_look_up "\${command}words"
    if ((operands == 0 && !ended)); then _${name}_choose "$current" '[a-z]*'; fi
    _${name}_look_up "\${command}operand $((operands + 1))"
  fi
  case $kind in
    files | program) return ;;
    directories) compopt -o dirnames ;;
    choices) _${name}_choose "$current" '*' ;;
    name-and-file)
      if [[ $current == *=* ]]; then return; fi
      compopt -o nospace
      _${name}_choose "$current" '*' ;;
  esac
  compopt +o default +o bashdefault # no files here
}

# Proposes those of the choices that begin with a text and have a form.
_${name}_choose() {
  local choice
  for choice in $choices; do
    if [[ $choice == "$1"* && $choice == $2 ]]; then COMPREPLY+=("$choice"); fi
  done
}

# Completes the arguments of a program as its own completion does, where bash-completion is installed.
_${name}_program() {
  if declare -F _comp_command_offset >/dev/null; then
    _comp_command_offset "$1"
  elif declare -F _command_offset >/dev/null; then
    _command_offset "$1"
  fi
}

complete -o bashdefault -o default -F _${name} ${name} ${name}.cmd
`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
