// `npm run accuracy [-- <part of a name> …]`: audits every program of the matrix (fixtures/matrix) and counts true,
// missed and false findings. Without arguments it also writes the table to docs/accuracy.md. With `--as-child` each
// program is the child of another one, and audited with it; the table must be the same. The exit code is 1 if there are
// missed or false findings.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { auditPrograms, matrixFolder } from '../fixtures/matrix/audits.mjs';
import { matrix, shapes } from '../fixtures/matrix/cases.mjs';
import { LaunchFailure } from '../launcher/failure.js';
import { inProject, runBenchmark, say, spell } from './measure.js';

const page = inProject('docs/accuracy.md');

await runBenchmark(import.meta.url, {
  sizes: { programs: { full: matrix.length, smoke: 4 } },
  flags: ['as-child'],
  takesNames: true,
  programs(options) {
    // Names are looked up first: programs that no name means are not built.
    const chosen = choose(options).map(({ name }) => name);
    const wanted = isWhole(options) ? ['matrix'] : chosen;
    return isAsChild(options) ? [...wanted, 'launches'] : wanted;
  },
  inWindows: measure,
});

/** @import { Result } from '../fixtures/matrix/audits.mjs' */
/** @import { Case } from '../fixtures/matrix/cases.mjs' */
/** @import { Verdict } from '../fixtures/matrix/verdict.mjs' */
/** @import { Options } from './measure.js' */

/** @param {Options<'programs'>} options */
function isWhole({ programs, names }) {
  return programs >= matrix.length && names.length === 0;
}

/** @param {Options<'programs'>} options */
function isAsChild({ flags }) {
  return flags.has('as-child');
}

/** @param {Options<'programs'>} options */
function choose({ programs, names }) {
  const chosen = matrix
    .filter(({ name }) => names.length === 0 || names.some((part) => name.includes(part)))
    .slice(0, programs);
  if (chosen.length === 0)
    throw new LaunchFailure(
      `Cannot audit ${names.join(', ')}: no program of the matrix has that in its name. Try leak-event.`,
    );
  return chosen;
}

/** @param {Options<'programs'>} options */
async function measure(options) {
  const programs = choose(options);
  requireBuilt(programs);
  const started = performance.now();
  const results = await auditPrograms(programs, { progress: true, asChild: isAsChild(options) });
  const seconds = (performance.now() - started) / 1000;
  for (const {
    name,
    verdict: { complaints },
  } of results) {
    if (complaints.length > 0) say(`\n${name}\n${complaints.map((line) => `  ${line}`).join('\n')}`);
  }
  const tables = makeTables(results);
  say(`\n${tables}`);
  say(
    `${results.length} programs in ${seconds.toFixed(0)} s; one audit takes ${spell(
      results.map(({ tookMs }) => tookMs),
      0,
    )} ms.`,
  );
  if (isWhole(options) && !isAsChild(options)) writeFileSync(page, makePage(tables));
  return results.some(({ verdict }) => verdict.complaints.length > 0) ? 1 : 0;
}

/**
 * A program that is left out would make the figures look better than they are.
 *
 * @param {readonly Case[]} programs
 */
function requireBuilt(programs) {
  const missing = programs.map(({ name }) => name).filter((name) => !existsSync(join(matrixFolder, `${name}.exe`)));
  if (missing.length > 0)
    throw new LaunchFailure(
      `Cannot audit ${missing.length} of ${programs.length} programs (${missing.slice(0, 3).join(', ')}${missing.length > 3 ? ', …' : ''}): they were not built. Try to install clang and lld, and run it again.`,
    );
}

/** @param {readonly Result[]} results */
function makeTables(results) {
  const byName = new Map(matrix.map((program) => [program.name, program]));
  const known = results.map(({ name, verdict }) => ({ ...verdict, program: /** @type {Case} */ (byName.get(name)) }));
  const rules = [
    ...new Set([...matrix.map(({ rule }) => rule), ...known.flatMap(({ falsePositives }) => falsePositives)]),
  ];

  /** @param {(each: typeof known[number]) => boolean} isIn @param {(rule: string) => boolean} isOfRule */
  const count = (isIn, isOfRule) => {
    const own = known.filter((each) => isIn(each) && isOfRule(each.program.rule));
    const outcomes = (/** @type {Verdict['outcome']} */ outcome) =>
      own.filter((each) => each.outcome === outcome).length;
    return {
      truePositives: outcomes('true positive'),
      falseNegatives: outcomes('false negative'),
      knownMisses: outcomes('known miss'),
      falsePositives: known
        .filter(isIn)
        .flatMap((each) => each.falsePositives)
        .filter(isOfRule).length,
      trueNegatives: outcomes('true negative'),
    };
  };
  const rows = [...rules, 'all'].map((rule) => {
    const { truePositives, falseNegatives, knownMisses, falsePositives, trueNegatives } = count(
      () => true,
      (each) => rule === 'all' || each === rule,
    );
    const recall = percent(truePositives, truePositives + falseNegatives);
    const precision = percent(truePositives, truePositives + falsePositives);
    return [
      rule === 'all' ? '**all**' : `\`${rule}\``,
      truePositives,
      falseNegatives,
      falsePositives,
      trueNegatives,
      recall,
      precision,
      knownMisses,
    ];
  });
  const perRule = table(
    [
      'rule',
      'true positives',
      'false negatives',
      'false positives',
      'true negatives',
      'recall',
      'precision',
      'known misses',
    ],
    rows,
  );

  /** @param {'shape' | 'resource'} key */
  const perKey = (key) => {
    const values = [...new Set([...(key === 'shape' ? shapes : []), ...matrix.map((program) => program[key])])];
    const cells = values.map((value) => [
      value,
      ...rules.map((rule) => {
        const { truePositives, falseNegatives, knownMisses, falsePositives } = count(
          ({ program }) => program[key] === value,
          (each) => each === rule,
        );
        const planted = truePositives + falseNegatives + knownMisses;
        if (planted + falsePositives === 0) return '';
        const found = `${truePositives}/${planted}`;
        return falsePositives > 0 ? `${found}, ${falsePositives} false` : found;
      }),
    ]);
    return table([key, ...rules.map((rule) => `\`${rule}\``)], cells);
  };
  return `${perRule}\n\nFound of the planted, by shape of the flow:\n\n${perKey('shape')}\n\nFound of the planted, by kind of resource:\n\n${perKey('resource')}\n`;
}

/** @param {number} part @param {number} whole */
function percent(part, whole) {
  return whole === 0 ? '' : `${((100 * part) / whole).toFixed(part === whole ? 0 : 1)} %`;
}

/** @param {readonly string[]} head @param {readonly (readonly (string | number)[])[]} rows */
function table(head, rows) {
  const line = (/** @type {readonly (string | number)[]} */ cells) => `| ${cells.join(' | ')} |`;
  return [line(head), `| --- |${' ---: |'.repeat(head.length - 1)}`, ...rows.map(line)].join('\n');
}

/** @param {string} tables */
function makePage(tables) {
  const [introduction = ''] = readFileSync(page, 'utf8').split(/^<!-- .*-->$/m);
  return `${introduction}<!-- What follows is written by npm run accuracy. -->\n\n${tables}`;
}
