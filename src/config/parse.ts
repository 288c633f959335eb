import { isDay } from '../text/day.ts';
import { escapeText } from '../text/escape.ts';
import { nearestName } from '../text/nearest.ts';
import { UserError } from '../user-error.ts';
import type { Config } from './config.ts';
import { configShape, type Shape } from './shapes.ts';

/** A configuration file may be so large. */
export const configSizeMax: number = 1 << 20;

/** A configuration file cannot be used. */
class ConfigError extends UserError {
  constructor(source: string, why: string, advice: string) {
    super(`Cannot use configuration "${source}": ${why}. Try ${advice}.`);
  }
}

/**
 * Parses the text of `unclosed.config.json`.
 *
 * @param source its name in errors
 * @throws ConfigError for what is no JSON, for an unknown key, and for a value of the wrong form
 */
export function parseConfig(text: string, source: string): Config {
  const plain = text.replace(/^\uFEFF/, '');
  let value: unknown;
  try {
    value = JSON.parse(plain);
  } catch (error) {
    throw new ConfigError(source, spellSyntaxError(error as SyntaxError, plain), 'to correct it there');
  }
  return checkConfig(value, source);
}

/**
 * Checks the value of a configuration, such as the member `unclosed` of package.json.
 *
 * @throws ConfigError for an unknown key, and for a value of the wrong form
 */
export function checkConfig(value: unknown, source: string): Config {
  check(value, configShape, [], (path, why, advice) => {
    const place = path.length === 0 ? '' : `${spellPath(path)} `;
    throw new ConfigError(source, `${place}${why}`, advice);
  });
  const { $schema: _schema, ...config } = value as Config & { readonly $schema?: string };
  return config;
}

type Refuse = (path: readonly (string | number)[], why: string, advice: string) => never;

function check(value: unknown, shape: Shape, path: readonly (string | number)[], refuse: Refuse): void {
  switch (shape.kind) {
    case 'flag':
      if (typeof value !== 'boolean') refuse(path, `is ${spellValue(value)}`, 'true or false');
      return;
    case 'choice':
      if (!shape.values.includes(value as string)) {
        const nearest = typeof value === 'string' ? nearestName(value, shape.values) : undefined;
        refuse(path, `is ${spellValue(value)}`, nearest ?? shape.values.join(', '));
      }
      return;
    case 'number':
      if (!Number.isInteger(value) || (value as number) < shape.least || (value as number) > shape.most)
        refuse(path, `is ${spellValue(value)}`, `a whole number from ${shape.least} to ${shape.most}`);
      return;
    case 'text':
      checkText(value, shape, path, refuse);
      return;
    case 'list':
      if (!Array.isArray(value)) return refuse(path, `is ${spellValue(value)}`, 'a list: […]');
      for (const [index, each] of value.entries()) check(each, shape.of, [...path, index], refuse);
      return;
    case 'object':
      checkObject(value, shape, path, refuse);
  }
}

function checkText(
  value: unknown,
  { form }: Extract<Shape, { readonly kind: 'text' }>,
  path: readonly (string | number)[],
  refuse: Refuse,
): void {
  const fits =
    typeof value === 'string' && value !== '' && (form === undefined || new RegExp(form.pattern, 'u').test(value));
  if (!fits) refuse(path, `is ${spellValue(value)}`, form === undefined ? 'a text' : `a text like "${form.example}"`);
  if (path.at(-1) === 'expires' && !isDay(value as string))
    refuse(path, `is ${spellValue(value)}, which is no day`, 'a text like "2027-01-31"');
}

function checkObject(
  value: unknown,
  { members, required = [] }: Extract<Shape, { readonly kind: 'object' }>,
  path: readonly (string | number)[],
  refuse: Refuse,
): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return refuse(path, `is ${spellValue(value)}`, 'an object: {…}');
  for (const [key, each] of Object.entries(value)) {
    const shape = Object.hasOwn(members, key) ? members[key] : undefined;
    if (shape !== undefined) {
      check(each, shape, [...path, key], refuse);
      continue;
    }
    const names = Object.keys(members);
    const advice = nearestName(key, names) ?? names.filter((name) => !name.startsWith('$')).join(', ');
    refuse(
      path,
      `${path.length === 0 ? '' : 'has '}the unknown key ${spellValue(key)}`.replace(/^the/, 'there is the'),
      advice,
    );
  }
  const missing = required.find((key) => !Object.hasOwn(value, key));
  if (missing !== undefined) refuse(path, `has no "${missing}"`, `"${missing}": "…"`);
}

/** `rules.leak`, `suppressions[2].expires` */
function spellPath(path: readonly (string | number)[]): string {
  return path
    .map((part, index) => (typeof part === 'number' ? `[${part}]` : `${index === 0 ? '' : '.'}${part}`))
    .join('');
}

const valueLengthMax = 60;

function spellValue(value: unknown): string {
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object' && value !== null) return 'an object';
  const text = escapeText(JSON.stringify(value) ?? 'missing');
  return text.length > valueLengthMax ? `${text.slice(0, valueLengthMax)}…` : text;
}

/** `line 3 is no valid JSON (Unexpected token 'e', …)` */
function spellSyntaxError({ message }: SyntaxError, text: string): string {
  const before = text.slice(0, findFault(message, text));
  return `line ${before.split('\n').length} is no valid JSON (${escapeText(message)})`;
}

/** The position of a fault. V8 names it in some of its messages only. */
function findFault(message: string, text: string): number {
  const [, position] = /\bat position (\d+)/.exec(message) ?? [];
  if (position !== undefined) return Number(position);
  if (!/^Unexpected token/.test(message)) return text.length;
  // The shortest beginning of the text that has the token.
  let [least, most] = [0, text.length];
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (hasUnexpectedToken(text.slice(0, middle))) most = middle;
    else least = middle + 1;
  }
  return least;
}

function hasUnexpectedToken(text: string): boolean {
  try {
    JSON.parse(text);
    return false;
  } catch (error) {
    return /^Unexpected token/.test((error as SyntaxError).message);
  }
}
