/**
 * A command line that ends where Tab is pressed, and the words that a shell proposes there.
 *
 * @typedef {{ title: string, line: string, proposes: readonly string[], needs?: 'programs' }} Case
 */

/** Lies in the working directory of each shell, beside these files. */
export const files = ['app.exe', 'known.baseline', 'report.sarif', 'folder/inside.txt'];

/** @type {readonly Case[]} */
export const cases = [
  { title: 'a command', line: 'unclosed wa', proposes: ['watch'] },
  {
    title: 'the choices of an option',
    line: 'unclosed run --fail-on ',
    proposes: ['error', 'never', 'note', 'warning'],
  },
  { title: 'a choice behind "="', line: 'unclosed run --fail-on=wa', proposes: ['--fail-on=warning'] },
  {
    title: 'the choices of another option',
    line: 'unclosed run --exit-code-policy pro',
    proposes: ['program', 'program-first'],
  },
  { title: 'a reporter', line: 'unclosed run --reporter sa', proposes: ['sarif'] },
  { title: 'the file of a reporter', line: 'unclosed run --reporter sarif=re', proposes: ['sarif=report.sarif'] },
  {
    title: 'the file of a reporter behind "="',
    line: 'unclosed attach --reporter=sarif=re',
    proposes: ['--reporter=sarif=report.sarif'],
  },
  { title: 'the file of an option', line: 'unclosed run --baseline kn', proposes: ['known.baseline'] },
  {
    title: 'the file of an option behind "="',
    line: 'unclosed run --baseline=kn',
    proposes: ['--baseline=known.baseline'],
  },
  { title: 'the file of a short option', line: 'unclosed snapshot -o kn', proposes: ['known.baseline'] },
  { title: 'directories for symbols', line: 'unclosed run --symbols fo', proposes: ['folder'] },
  { title: 'nothing for a duration', line: 'unclosed watch app.exe --interval ', proposes: [] },
  { title: 'the shells', line: 'unclosed completion ', proposes: ['bash', 'fish', 'powershell', 'zsh'] },
  { title: 'a subcommand', line: 'unclosed baseline di', proposes: ['diff'] },
  {
    title: 'the options of a subcommand',
    line: 'unclosed baseline diff --',
    proposes: ['--fail-on-growth', '--help', '--json'],
  },
  { title: 'the files of a subcommand', line: 'unclosed baseline diff kn', proposes: ['known.baseline'] },
  {
    title: 'options behind an option with a value',
    line: 'unclosed run --repeat 3 --suppress',
    proposes: ['--suppress', '--suppressed'],
  },
  {
    title: 'options behind an option without its optional value',
    line: 'unclosed run --quarantine --all',
    proposes: ['--all', '--all-frames'],
  },
  { title: 'the program behind --', line: 'unclosed run --notes -- app', proposes: ['app.exe'] },
  { title: 'no option of its own among those of the program', line: 'unclosed run -- app.exe --fa', proposes: [] },
  {
    title: 'the own completion of the program',
    line: 'unclosed run --notes -- mytool own',
    proposes: ['own-one', 'own-two'],
    needs: 'programs',
  },
  {
    title: 'the own completion of the program without --',
    line: 'unclosed run mytool own',
    proposes: ['own-one', 'own-two'],
    needs: 'programs',
  },
];
