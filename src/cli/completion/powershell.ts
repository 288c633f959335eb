import { type CompletedCommand, type CompletedOption, listCommands, type Proposal } from './model.ts';

/** Writes the completion for PowerShell: Windows' own, 5.1, and 7. */
export function writePowerShell(tool: CompletedCommand, name: string): string {
  const commands = listCommands(tool).map((command) => `    ${spellCommand(command)}`);
  return `# Completion of ${name} for PowerShell: ${name} completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName '${name}', '${name}.cmd', '${name}.ps1' -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $commands = @{
${commands.join('\n')}
  }

  # The words before the cursor, and the one that is being typed.
  $elements = @($commandAst.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.StartOffset -lt $cursorPosition })
  $typed = "$wordToComplete"
  if ($typed -ne '' -and $elements.Count -gt 0) {
    $elements = @($elements | Select-Object -First ($elements.Count - 1))
  }
  $command = ''
  $operands = 0
  $expected = $null
  $ended = $false
  foreach ($element in $elements) {
    $word = $element.Extent.Text
    if ($expected) {
      $optional = $expected.Optional
      $expected = $null
      if (-not $optional -or -not $word.StartsWith('-')) { continue }
    }
    if (-not $ended -and $word -eq '--') { $ended = $true; continue }
    if (-not $ended -and $word.StartsWith('-')) {
      $expected = $commands[$command].Options | Where-Object { $_.Names -ccontains $word -and $_.Kind }
      continue
    }
    $deeper = ("$command $word").Trim()
    if ($operands -eq 0 -and $commands.ContainsKey($deeper)) { $command = $deeper; continue }
    if (($commands[$command].Operands | Select-Object -First 1).Kind -eq 'program') {
      # The words from here on are the program's own: PowerShell completes them as if they stood alone.
      $start = $element.Extent.StartOffset - $commandAst.Extent.StartOffset
      $text = $commandAst.Extent.Text
      $length = $cursorPosition - $commandAst.Extent.StartOffset
      $text = $text.PadRight($length).Substring($start, $length - $start)
      return [System.Management.Automation.CommandCompletion]::CompleteInput("& $text", $text.Length + 2, $null).CompletionMatches
    }
    $operands++
  }

  function New-Completion($text, $about, $kind = 'ParameterValue') {
    if (-not $about) { $about = $text }
    [System.Management.Automation.CompletionResult]::new($text, $text, $kind, $about)
  }
  function Get-File($prefix, $start, $directoriesOnly) {
    [System.Management.Automation.CompletionCompleters]::CompleteFilename($start) |
      Where-Object { -not $directoriesOnly -or $_.ResultType -eq 'ProviderContainer' } |
      ForEach-Object {
        [System.Management.Automation.CompletionResult]::new("$prefix$($_.CompletionText)", $_.ListItemText, $_.ResultType, $_.ToolTip)
      }
  }
  function Get-Value($taken, $prefix, $start) {
    switch ($taken.Kind) {
      'choices' {
        $taken.Choices | Where-Object { $_.StartsWith($start) } | ForEach-Object { New-Completion "$prefix$_" $_ }
      }
      'name-and-file' {
        $name, $file = $start -split '=', 2
        if ($null -ne $file) { return Get-File "$prefix$name=" $file $false }
        $taken.Choices | Where-Object { $_.StartsWith($start) } | ForEach-Object { New-Completion "$prefix$_" $_ }
      }
      'processes' {
        Get-Process | ForEach-Object { "$($_.ProcessName).exe" } | Sort-Object -Unique |
          Where-Object { $_ -like "$start*" } | ForEach-Object { New-Completion "$prefix$_" $_ }
      }
      'directories' { Get-File $prefix $start $true }
      { $_ -in 'files', 'program' } { Get-File $prefix $start $false }
    }
  }

  $current = $commands[$command]
  if ($expected -and $expected.Optional -and $typed.StartsWith('-')) { $expected = $null }
  if ($expected) { return Get-Value $expected '' $typed }
  if (-not $ended -and $typed -match '^(--[^=]+)=(.*)$') {
    $name, $start = $Matches[1], $Matches[2]
    $option = $current.Options | Where-Object { $_.Names -ccontains $name -and $_.Kind }
    if ($option) { return Get-Value $option "$name=" $start }
    return
  }
  if (-not $ended -and $typed.StartsWith('-')) {
    return $current.Options | ForEach-Object {
      $option = $_
      $option.Names | Where-Object { $_.StartsWith($typed) } |
        ForEach-Object { New-Completion $_ $option.About 'ParameterName' }
    }
  }
  if ($operands -eq 0 -and -not $ended) {
    $current.Commands.GetEnumerator() | Where-Object { $_.Key.StartsWith($typed) } | Sort-Object Key |
      ForEach-Object { New-Completion $_.Key $_.Value }
  }
  $all = @($current.Operands)
  if ($operands -lt $all.Count) { Get-Value $all[$operands] '' $typed }
  elseif ($all.Count -gt 0 -and $all[-1].Repeatable) { Get-Value $all[-1] '' $typed }
}
`;
}

function spellCommand({ path, options, operands, commands }: CompletedCommand): string {
  const rows = [
    `Options = @(${options.map(spellOption).join(', ')})`,
    `Operands = @(${operands
      .map(
        ({ isRepeatable, proposal }) => `@{ ${spellProposal(proposal)}${isRepeatable ? '; Repeatable = $true' : ''} }`,
      )
      .join(', ')})`,
    `Commands = @{ ${commands.map((each) => `${quote(each.path.at(-1)!)} = ${quote(each.summary)}`).join('; ')} }`,
  ];
  return `${quote(path.join(' '))} = @{\n      ${rows.join('\n      ')}\n    }`;
}

function spellOption({ names, description, value }: CompletedOption): string {
  const facts = [
    `Names = @(${names.map(quote).join(', ')})`,
    `About = ${quote(description)}`,
    ...(value === undefined ? [] : [spellProposal(value.proposal)]),
    ...(value?.isOptional ? ['Optional = $true'] : []),
  ];
  return `\n        @{ ${facts.join('; ')} }`;
}

function spellProposal(proposal: Proposal): string {
  return 'choices' in proposal
    ? `Kind = '${proposal.kind}'; Choices = @(${proposal.choices.map(quote).join(', ')})`
    : `Kind = '${proposal.kind}'`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}
