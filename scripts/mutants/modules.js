// The project's modules as functions that can be run again and again, changed or not. There are no cycles among them,
// so each import is a call.
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import { dirname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { compileFunction } from 'node:vm';
import { isFunction, parseProgram, walk } from './changes.js';

/** @import { Change, Node } from './changes.js' */
/** @typedef {{ start: number, end: number, text: string }} Edit */
/** @typedef {Record<string, unknown>} Namespace */
/** @typedef {(specifier: string) => Namespace} Find */
/** @typedef {(names: Namespace) => void} Give */
/** @typedef {(find: Find, give: Give, tick: () => void, hit: (id: string) => void) => void} Body */

/**
 * @typedef {object} Module
 * @property {string} path
 * @property {string} code in JavaScript, with the lines of the source
 * @property {ReadonlyMap<string, string>} imports the paths of other modules of the project, by their specifiers
 * @property {Body} body
 */

export class Modules {
  /** @type {Map<string, Module>} */
  #modules = new Map();
  /** @type {Map<string, Namespace>} */
  #packages = new Map();
  #roundsMax = Number.POSITIVE_INFINITY;
  /** How often loops have gone round since the test began. */
  rounds = 0;

  /** @param {Readonly<Record<string, Namespace>>} given packages that are not imported */
  constructor(given) {
    for (const [name, names] of Object.entries(given)) this.#packages.set(name, names);
  }

  /**
   * Reads a module and all that it imports.
   *
   * @param {string} path
   */
  async read(path) {
    if (this.#modules.has(path)) return;
    const source = readFileSync(path, 'utf8');
    const code = path.endsWith('.ts') ? stripTypeScriptTypes(source) : source;
    /** @type {Map<string, string>} */
    const imports = new Map();
    for (const { source: from } of parseProgram(code).body) {
      if (typeof from?.value !== 'string') continue;
      if (from.value.startsWith('.')) imports.set(from.value, resolve(dirname(path), from.value));
      else if (!this.#packages.has(from.value)) this.#packages.set(from.value, await import(from.value));
    }
    this.#modules.set(path, { path, code, imports, body: compile(path, code) });
    for (const each of imports.values()) await this.read(each);
  }

  /**
   * @param {string} path
   * @returns {Module}
   */
  get(path) {
    const found = this.#modules.get(path);
    if (found === undefined) throw new Error(`not read: ${path}`);
    return found;
  }

  /**
   * All modules that a module needs, with itself.
   *
   * @param {string} path
   * @param {Set<string>} [found]
   * @returns {ReadonlySet<string>}
   */
  reach(path, found = new Set()) {
    if (found.has(path)) return found;
    found.add(path);
    for (const each of this.get(path).imports.values()) this.reach(each, found);
    return found;
  }

  /**
   * A test begins. More rounds of its loops than that are a loop without end.
   *
   * @param {number} [roundsMax]
   */
  beginTest(roundsMax = Number.POSITIVE_INFINITY) {
    this.rounds = 0;
    this.#roundsMax = roundsMax;
  }

  /**
   * Runs a module and those that it needs.
   *
   * @param {string} path
   * @param {Map<string, Namespace>} loaded those that have run
   * @param {{ path: string, body: Body } | undefined} changed the body that takes the place of a module's own
   * @param {(id: string) => void} hit
   * @returns {Namespace}
   */
  run(path, loaded, changed, hit) {
    const known = loaded.get(path);
    if (known !== undefined) return known;
    const { imports, body } = this.get(path);
    /** @type {Namespace} */
    const names = {};
    loaded.set(path, names);
    const find = (/** @type {string} */ specifier) => {
      const other = imports.get(specifier);
      return other === undefined ? (this.#packages.get(specifier) ?? {}) : this.run(other, loaded, changed, hit);
    };
    const tick = () => {
      this.rounds += 1;
      if (this.rounds > this.#roundsMax) throw new Error('a loop without end');
    };
    (changed?.path === path ? changed.body : body)(find, (all) => Object.assign(names, all), tick, hit);
    return names;
  }
}

/**
 * @param {string} path
 * @param {string} code
 * @param {Change} [change]
 * @returns {Body}
 */
export function compile(path, code, change) {
  const changed =
    change === undefined ? code : code.slice(0, change.start) + change.replacement + code.slice(change.end);
  const program = parseProgram(changed);
  /** @type {string[]} */
  const names = [];
  const edits = program.body.flatMap((/** @type {Node} */ node) => [...editsOfModule(node, names)]);
  walk(program, (node) => edits.push(...editsOfCode(node, path, change === undefined)));
  edits.sort((/** @type {Edit} */ a, /** @type {Edit} */ b) => b.start - a.start || b.end - a.end);
  let text = changed;
  for (const { start, end, text: given } of edits) text = text.slice(0, start) + given + text.slice(end);
  const body = `"use strict";${text}\n__give({ ${names.join(', ')} });`;
  return /** @type {Body} */ (compileFunction(body, ['__find', '__give', '__tick', '__hit'], { filename: path }));
}

/**
 * Imports become calls, and exports names that are given at the end.
 *
 * @param {Node} node of the program
 * @param {string[]} names
 * @returns {Generator<Edit>}
 */
function* editsOfModule(node, names) {
  const { type, start, end } = node;
  if (type === 'ImportDeclaration') {
    const found = `__find(${JSON.stringify(node.source.value)})`;
    const parts = node.specifiers.map((/** @type {Node} */ each) =>
      each.type === 'ImportNamespaceSpecifier'
        ? `${each.local.name} = ${found}`
        : `{ ${each.imported?.name ?? 'default'}: ${each.local.name} } = ${found}`,
    );
    yield { start, end, text: parts.length === 0 ? `${found};` : `const ${parts.join(', ')};` };
  } else if (type === 'ExportAllDeclaration') {
    yield { start, end, text: `__give(__find(${JSON.stringify(node.source.value)}));` };
  } else if (type === 'ExportNamedDeclaration') {
    const { declaration, specifiers, source } = node;
    if (declaration) {
      yield { start, end: declaration.start, text: '' };
      const declared = declaration.declarations ?? [declaration];
      names.push(...declared.map((/** @type {Node} */ { id }) => id.name));
      return;
    }
    const of = source ? `__find(${JSON.stringify(source.value)}).` : '';
    const given = specifiers.map((/** @type {Node} */ each) => `${each.exported.name}: ${of}${each.local.name}`);
    if (source) yield { start, end, text: `__give({ ${given.join(', ')} });` };
    else {
      yield { start, end, text: '' };
      names.push(...given);
    }
  }
}

/**
 * Loops count their rounds, and functions say that they run.
 *
 * @param {Node} node
 * @param {string} path
 * @param {boolean} saysHits
 * @returns {Generator<Edit>}
 */
function* editsOfCode(node, path, saysHits) {
  const { type, start, end, body } = node;
  if (type === 'MetaProperty') yield { start, end, text: `({ url: ${JSON.stringify(pathToFileURL(path).href)} })` };
  const isLoop = /^(?:For|While|DoWhile|ForOf|ForIn)Statement$/.test(type);
  const call = isLoop ? '__tick()' : saysHits && isFunction(node) ? `__hit(${JSON.stringify(`${path} ${start}`)})` : '';
  if (call === '') return;
  if (body.type === 'BlockStatement') yield { start: body.start, end: body.start + 1, text: `{${call};` };
  else if (isLoop) {
    yield { start: body.start, end: body.start, text: `{${call};` };
    yield { start: body.end, end: body.end, text: '}' };
  } else {
    yield { start: body.start, end: body.start, text: `(${call}, ` };
    yield { start: body.end, end: body.end, text: ')' };
  }
}
