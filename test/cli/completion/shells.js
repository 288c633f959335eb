import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { inTerminal } from '../terminal.js';
import { files } from './cases.js';

/**
 * A shell to try a completion in.
 *
 * @typedef {object} Shell
 * @property {string} name as `unclosed completion` knows it
 * @property {string} program
 * @property {boolean} completesPrograms whether it can complete the arguments of another program
 * @property {(script: string, lines: readonly string[], folder: string) => Promise<readonly (readonly string[])[]>} ask
 * the words that it proposes at the end of each line
 */

const bashCompletion = '/usr/share/bash-completion/bash_completion';

/** In the shells that put all proposals into the line, the tool is a function that writes down its arguments. */
const answers = 'answers.txt';

/** @type {readonly Shell[]} */
export const shells = [
  {
    name: 'bash',
    program: 'bash',
    completesPrograms: existsSync(bashCompletion),
    async ask(script, lines, folder) {
      const start = join(folder, 'bashrc');
      writeFileSync(
        start,
        `${existsSync(bashCompletion) ? `. ${bashCompletion}` : ''}
. '${script}'
unclosed() { printf '%s\\t' "$@" >> ${answers}; echo >> ${answers}; }
complete -W 'own-one own-two' mytool
PS1=
`,
      );
      // M-* puts all that Tab would show into the line.
      const input = lines.map((line) => `${line}\x1b*\n`).join('');
      const env = { ...process.env, HOME: folder, TERM: 'dumb', INPUTRC: '/dev/null' };
      spawnSync('bash', ['--rcfile', start, '-i'], { cwd: folder, input, env });
      return readAnswers(folder, lines);
    },
  },
  {
    name: 'zsh',
    program: 'zsh',
    completesPrograms: true,
    async ask(script, lines, folder) {
      writeFileSync(
        join(folder, '.zshrc'),
        `PS1=
autoload -Uz compinit; compinit -u -D
source '${script}'
_mytool() { compadd own-one own-two }; compdef _mytool mytool
unclosed() { printf '%s\\t' "$@" >> ${answers}; echo >> ${answers} }
zle -C all-matches complete-word _generic
bindkey '^T' all-matches
zstyle ':completion:all-matches:*' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert yes
`,
      );
      // zsh edits its line on a terminal only.
      await inTerminal('zsh -i', {
        cwd: folder,
        env: { ZDOTDIR: folder, HOME: folder, TERM: 'dumb' },
        type: async (write) => write(`${lines.map((line) => `${line}\x14\n`).join('')}exit\n`),
      });
      return readAnswers(folder, lines);
    },
  },
  {
    name: 'fish',
    program: 'fish',
    completesPrograms: true,
    async ask(script, lines, folder) {
      const questions = lines.map((line) => `complete -C '${line}' | string replace -r '\\t.*' ''; echo ---`);
      const text = [`source '${script}'`, `complete -c mytool -f -a 'own-one own-two'`, ...questions].join('\n');
      const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_DATA_HOME: folder };
      const { stdout, stderr } = spawnSync('fish', ['-c', text], { cwd: folder, env, encoding: 'utf8' });
      if (stderr !== '') throw new Error(stderr);
      return splitAnswers(stdout, lines);
    },
  },
  ...['pwsh', 'powershell'].map((program) => ({
    name: 'powershell',
    program,
    completesPrograms: true,
    /** @type {Shell['ask']} */
    async ask(script, lines, folder) {
      const questions = lines.map(
        (line) =>
          `[System.Management.Automation.CommandCompletion]::CompleteInput('${line}', ${line.length}, $null).CompletionMatches.CompletionText; '---'`,
      );
      const start = join(folder, 'ask.ps1');
      const own = `Register-ArgumentCompleter -Native -CommandName mytool -ScriptBlock { 'own-one', 'own-two' }`;
      writeFileSync(start, [`Invoke-Expression (Get-Content -Raw '${script}')`, own, ...questions].join('\n'));
      const args = ['-NoProfile', '-NonInteractive', '-ExecutionPolicy', 'Bypass', '-File', start];
      const { stdout, stderr } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' });
      if (stderr !== '') throw new Error(stderr);
      return splitAnswers(stdout, lines).map((words) =>
        words.map((word) => word.replace(/^\.[\\/]|(?<==)\.[\\/]/, '')),
      );
    },
  })),
];

/** @param {string} folder */
export function makeFiles(folder) {
  for (const path of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), '');
  }
}

/**
 * @param {string} output with a line of dashes after each answer
 * @param {readonly string[]} lines
 */
function splitAnswers(output, lines) {
  const parts = output.split(/^---\r?\n/m).slice(0, -1);
  if (parts.length !== lines.length) throw new Error(`There are ${parts.length} answers: ${output}`);
  return parts.map((part) => sorted(part.split(/\r?\n/)));
}

/**
 * The arguments that the tool got, without those that were typed.
 *
 * @param {string} folder
 * @param {readonly string[]} lines
 */
function readAnswers(folder, lines) {
  const got = readFileSync(join(folder, answers), 'utf8').split('\n').slice(0, -1);
  if (got.length !== lines.length) throw new Error(`There are ${got.length} answers: ${got.join('\n')}`);
  return lines.map((line, index) => {
    const typed = line.split(' ').slice(1);
    const last = typed.pop();
    const words = (got[index] ?? '').split('\t').slice(typed.length);
    // Where there is nothing to propose, the line stays as it was typed.
    return sorted(words.filter((word) => word !== last || words.length > 2));
  });
}

/** @param {readonly string[]} words */
function sorted(words) {
  return words
    .map((word) => word.replace(/[\\/]$/, ''))
    .filter((word) => word !== '')
    .sort();
}
