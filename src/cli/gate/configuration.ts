import { existsSync, readFileSync, statSync } from 'node:fs';
import { win32 } from 'node:path';

import { type Command, InvalidArgumentError } from 'commander';

import type { Config } from '../../config/config.ts';
import { checkConfig, configSizeMax, parseConfig } from '../../config/parse.ts';
import { escapeText } from '../../text/escape.ts';
import { UserError } from '../../user-error.ts';
import { toWindowsPath } from '../../wine/paths.ts';
import { explainFileFailure } from './file-failure.ts';
import { showPath } from './shown-path.ts';

/** A configuration that was read. */
export interface Configuration {
  readonly config: Config;
  /** The directory that its paths are relative to. */
  readonly directory: string;
  /** Its name in reports and errors: `unclosed.config.json`, `package.json#unclosed`. */
  readonly shown: string;
}

/** The name of a file of its own; a member of package.json is the other way. */
export const configFileName = 'unclosed.config.json';
const packageFileName = 'package.json';
const packageKey = 'unclosed';

/** A configuration cannot be read, or a value in it not be used. */
class ConfigurationError extends UserError {
  constructor(shown: string, why: string, advice: string) {
    super(`Cannot use configuration "${shown}": ${why}. Try ${advice}.`);
  }
}

/**
 * Reads a configuration file.
 *
 * @param file as the user spelt it
 * @throws ConfigurationError when it cannot be read
 * @throws ConfigError when it is none
 */
function readConfiguration(file: string): Configuration {
  const path = toWindowsPath(file);
  const text = readIfThere(path, showPath(path));
  if (text === undefined)
    throw new ConfigurationError(showPath(path), 'there is no such file (ENOENT)', 'unclosed init to write one');
  return toConfiguration(path, text);
}

/**
 * Finds the configuration of a directory: in it, or in the nearest one above it that has any, up to the root of the
 * repository. In one directory, `unclosed.config.json` goes before `package.json`.
 *
 * @throws ConfigurationError when a configuration file cannot be read
 * @throws ConfigError when it is none
 */
function findConfiguration(start: string): Configuration | undefined {
  for (let directory = start; ; ) {
    const path = win32.join(directory, configFileName);
    const text = readIfThere(path, showPath(path));
    if (text !== undefined) return toConfiguration(path, text);
    const member = findInPackage(win32.join(directory, packageFileName));
    if (member !== undefined) return member;
    const above = win32.dirname(directory);
    if (above === directory || existsSync(win32.join(directory, '.git'))) return undefined;
    directory = above;
  }
}

function toConfiguration(path: string, text: string): Configuration {
  const shown = showPath(path);
  if (win32.basename(path).toLowerCase() === packageFileName) {
    const member = toMember(path, text);
    if (member === undefined) throw new ConfigurationError(shown, `it has no member "${packageKey}"`, configFileName);
    return member;
  }
  return { config: parseConfig(text, shown), directory: win32.dirname(path), shown };
}

/** A package.json that cannot be read, or is none, is no affair of this tool. */
function findInPackage(path: string): Configuration | undefined {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
  return text.includes(`"${packageKey}"`) ? toMember(path, text) : undefined;
}

function toMember(path: string, text: string): Configuration | undefined {
  let whole: unknown;
  try {
    whole = JSON.parse(text.replace(/^\uFEFF/, ''));
  } catch {
    return undefined;
  }
  if (typeof whole !== 'object' || whole === null || !Object.hasOwn(whole, packageKey)) return undefined;
  const shown = `${showPath(path)}#${packageKey}`;
  const value: unknown = (whole as Record<string, unknown>)[packageKey];
  return { config: checkConfig(value, shown), directory: win32.dirname(path), shown };
}

/** @throws ConfigurationError for every failure but that there is no such file */
function readIfThere(path: string, shown: string): string | undefined {
  try {
    const stat = statSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    if (stat.size > configSizeMax)
      throw new ConfigurationError(shown, `it is larger than ${configSizeMax / 1024} KiB`, 'a file of suppressions');
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return undefined;
    const { why, advice } = explainFileFailure(error);
    throw new ConfigurationError(shown, why, advice);
  }
}

/** Options that say where the configuration is. */
interface ConfigurationOptions {
  /** False for `--no-config`. */
  readonly config?: string | false;
}

/**
 * Reads the configuration that the options of a command name, or that is found, and gives the command's options those
 * values that neither a flag nor the environment has given.
 *
 * @throws UserError when a configuration or a value in it cannot be used
 */
export function configure(command: Command): void {
  const { config: named } = command.opts<ConfigurationOptions>();
  if (named === false) return;
  const found = named === undefined || named === '' ? findConfiguration(process.cwd()) : readConfiguration(named);
  if (found === undefined) return;
  command.setOptionValueWithSource('configuration', found, 'config');
  for (const [name, value] of optionValues(found)) setOption(command, name, value, found.shown);
}

/** The options that a configuration sets, with values as on the command line. */
function optionValues({ config, directory, shown }: Configuration): readonly (readonly [string, unknown])[] {
  const resolve = (path: string): string => {
    const windows = toWindowsPath(path);
    return win32.isAbsolute(windows) ? windows : win32.join(directory, windows);
  };
  const { reporters, symbols, suppressions = [], suppressionFiles, baseline, defaultSuppressions } = config;
  const environmentSymbols = process.env['_NT_SYMBOL_PATH'] ?? '';
  const values: readonly (readonly [string, unknown])[] = [
    ['failOn', config.failOn],
    ['requireComplete', config.requireComplete],
    ['exitCodePolicy', config.exitCodePolicy],
    ['baseline', baseline === undefined ? undefined : showPath(resolve(baseline))],
    ['reporter', reporters?.map((each) => each.replace(/(?<==).+/s, resolve))],
    ['notes', config.notes],
    ['suppress', suppressionFiles?.map((file) => showPath(resolve(file)))],
    ['inlineSuppressions', suppressions.length === 0 ? undefined : toText(suppressions, shown)],
    ['defaultSuppressions', defaultSuppressions],
    [
      'symbols',
      symbols &&
        [...symbols.map((each) => (isServer(each) ? each : resolve(each))), environmentSymbols]
          .filter(Boolean)
          .join(';'),
    ],
    ['mark', config.mark],
    ['warmUp', config.warmUp],
    ['settle', config.settle],
    ['leaksBySection', config.leaksBySection],
    ['followChildren', config.followChildren],
    ['waitChildren', config.waitChildren],
    ['only', config.only],
    ['skip', config.skip],
    ['quarantine', config.quarantine],
    ['maxHandles', config.maxHandles],
    ['history', config.history],
  ];
  return values.filter(([, value]) => value !== undefined);
}

/** `srv*…`, `cache*…`, `https://…`: a part of a symbol path that is no directory. */
function isServer(part: string): boolean {
  return /^(?:srv|symsrv|cache)\*|^https?:/i.test(part);
}

/** Entries as lines of a text of suppressions: the number of a line is that of the entry. */
function toText(
  suppressions: NonNullable<Config['suppressions']>,
  shown: string,
): { readonly source: string; readonly text: string } {
  const lines = suppressions.map(
    ({ match, reason, expires }) => `${match}${expires === undefined ? '' : `;expires:${expires}`} # ${reason}`,
  );
  return { source: `${shown}#suppressions`, text: lines.join('\n') };
}

/** Gives an option a value, unless the command lacks it, or a flag or the environment has given it one. */
function setOption(command: Command, name: string, value: unknown, shown: string): void {
  const source = command.getOptionValueSource(name);
  // Suppressions add up: those of the configuration are in force beside those of the command line.
  const adds = name === 'suppress';
  if (source !== undefined && source !== 'default' && !adds) return;
  if (name === 'reporter' && command.getOptionValue('json') === true) return;
  const options = command.options.filter((each) => each.attributeName() === name);
  const [option] = options;
  if (option === undefined) {
    if (name === 'inlineSuppressions') command.setOptionValueWithSource(name, value, 'config');
    return;
  }
  try {
    const texts = Array.isArray(value) ? (value as readonly string[]) : [value];
    let parsed: unknown = adds ? command.getOptionValue(name) : undefined;
    for (const each of texts)
      parsed =
        option.parseArg === undefined || typeof each === 'boolean' ? each : option.parseArg(String(each), parsed);
    // An option without a value is absent, not false.
    if (parsed === false && !options.some(({ negate }) => negate)) return;
    command.setOptionValueWithSource(name, parsed, 'config');
  } catch (error) {
    if (!(error instanceof InvalidArgumentError)) throw error;
    throw new ConfigurationError(shown, `${name}: ${escapeText(error.message.replace(/\.$/, ''))}`, 'another value');
  }
}
