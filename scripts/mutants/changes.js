// The small changes that may be made to a program: each turns one expression or block into another one.
import { parseAst } from 'rolldown/parseAst';

/**
 * @typedef {object} Change
 * @property {number} start
 * @property {number} end
 * @property {string} replacement
 * @property {string} kind what was changed
 */

/**
 * A node of ESTree: https://github.com/estree/estree.
 *
 * @typedef {{ type: string, start: number, end: number, [member: string]: any }} Node
 */

/** @type {Readonly<Record<string, readonly string[]>>} */
const operators = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '/': ['*'],
  '%': ['*'],
  '&&': ['||'],
  '||': ['&&'],
  '??': ['&&'],
  '&': ['|'],
  '|': ['&'],
  '+=': ['-='],
  '-=': ['+='],
  '++': ['--'],
  '--': ['++'],
};

/** Methods, and those that take their place. */
const methods = {
  some: 'every',
  every: 'some',
  min: 'max',
  max: 'min',
  startsWith: 'endsWith',
  endsWith: 'startsWith',
  toLowerCase: 'toUpperCase',
  toUpperCase: 'toLowerCase',
};
/** Methods whose call the object itself may take the place of. */
const removable = new Set(['filter', 'sort', 'toSorted', 'reverse', 'toReversed', 'slice', 'trim']);

/**
 * All changes to a program in JavaScript, and the innermost function that each is in.
 *
 * @param {string} code
 * @returns {readonly (Change & { functionStart: number | undefined })[]}
 */
export function listChanges(code) {
  /** @type {(Change & { functionStart: number | undefined })[]} */
  const changes = [];
  walk(parseProgram(code), (node, parents) => {
    const functionStart = parents.findLast(isFunction)?.start;
    for (const change of changesOf(node, parents.at(-1), code))
      if (code.slice(change.start, change.end) !== change.replacement) changes.push({ ...change, functionStart });
  });
  return changes;
}

/**
 * @param {string} code
 * @returns {Node}
 */
export function parseProgram(code) {
  return /** @type {Node} */ (/** @type {unknown} */ (parseAst(code)));
}

/**
 * Visits a node, then those in it.
 *
 * @param {Node} node
 * @param {(node: Node, parents: readonly Node[]) => void} visit
 * @param {readonly Node[]} [parents] the outermost first
 */
export function walk(node, visit, parents = []) {
  visit(node, parents);
  const within = [...parents, node];
  for (const value of Object.values(node)) {
    for (const each of Array.isArray(value) ? value : [value])
      if (typeof each === 'object' && each !== null && typeof each.type === 'string') walk(each, visit, within);
  }
}

/**
 * @param {Node} node
 * @returns {boolean}
 */
export function isFunction({ type }) {
  return type === 'ArrowFunctionExpression' || type === 'FunctionDeclaration' || type === 'FunctionExpression';
}

/**
 * @param {Node} node
 * @param {Node | undefined} parent
 * @param {string} code
 * @returns {readonly Change[]}
 */
function changesOf(node, parent, code) {
  const { start, end } = node;
  const text = (/** @type {Node} */ each) => code.slice(each.start, each.end);
  /** @returns {Change} */
  const whole = (/** @type {string} */ kind, /** @type {string} */ replacement) => ({ start, end, replacement, kind });
  /** @returns {Change[]} */
  const condition = (/** @type {Node} */ test, values = ['true', 'false']) =>
    values.map((replacement) => ({ start: test.start, end: test.end, replacement, kind: 'condition' }));
  switch (node.type) {
    case 'IfStatement':
    case 'ConditionalExpression':
      return condition(node.test);
    case 'WhileStatement':
    case 'ForStatement':
      return node.test === null ? [] : condition(node.test, ['false']);
    case 'LogicalExpression':
    case 'BinaryExpression':
    case 'AssignmentExpression':
      return (operators[node.operator] ?? []).flatMap((operator) => {
        const at = code.indexOf(node.operator, node.left.end);
        const isText = operator === '-' && [node.left, node.right].some(isTextual);
        return isText ? [] : [{ start: at, end: at + node.operator.length, replacement: operator, kind: 'operator' }];
      });
    case 'UpdateExpression':
      return [whole('operator', text(node).replace(node.operator, operators[node.operator]?.[0] ?? ''))];
    case 'UnaryExpression':
      return node.operator === '!' || node.operator === '-' ? [whole('operator', text(node.argument))] : [];
    case 'Literal':
      return changesOfLiteral(node, parent).map((replacement) => whole('literal', replacement));
    case 'TemplateLiteral':
      return parent?.type === 'TaggedTemplateExpression' ? [] : [whole('literal', '``')];
    case 'ArrayExpression':
      return [whole('literal', node.elements.length === 0 ? '["changed"]' : '[]')];
    case 'ObjectExpression':
      return node.properties.length === 0
        ? []
        : [whole('literal', parent?.type === 'ArrowFunctionExpression' ? '({})' : '{}')];
    case 'ArrowFunctionExpression':
      return node.body.type === 'BlockStatement'
        ? []
        : [{ start: node.body.start, end: node.body.end, replacement: 'undefined', kind: 'function' }];
    case 'BlockStatement':
      return node.body.length === 0 || parent === undefined || !isFunction(parent) ? [] : [whole('function', '{}')];
    case 'CallExpression':
      return changesOfCall(node, text).map((replacement) => whole('method', replacement));
    case 'MemberExpression':
      return node.optional === true && !node.computed
        ? [whole('operator', `${text(node.object)}.${text(node.property)}`)]
        : [];
    default:
      return [];
  }
}

/**
 * @param {Node} node
 * @returns {boolean} whether it is certainly a text, from which nothing can be subtracted
 */
function isTextual({ type, value }) {
  return type === 'TemplateLiteral' || (type === 'Literal' && typeof value === 'string');
}

/**
 * @param {Node} node
 * @param {Node | undefined} parent
 * @returns {readonly string[]}
 */
function changesOfLiteral({ value, raw, regex }, parent) {
  if (regex !== undefined) {
    const whole = String(raw);
    return [whole.replace('/^', '/'), whole.replace(/\$(?=\/[a-z]*$)/, '')];
  }
  const isName = parent?.type === 'Property' && parent.key.value === value && parent.value.value !== value;
  if (isName || /^(?:Import|Export)/.test(parent?.type ?? '')) return [];
  if (typeof value === 'boolean') return [String(!value)];
  if (typeof value === 'string') return [value === '' ? '"changed"' : '""'];
  return [];
}

/**
 * @param {Node} node
 * @param {(node: Node) => string} text
 * @returns {readonly string[]}
 */
function changesOfCall({ callee, arguments: given }, text) {
  if (callee.type !== 'MemberExpression' || callee.computed) return [];
  const { name } = callee.property;
  if (removable.has(name)) return [text(callee.object)];
  if (!Object.hasOwn(methods, name)) return [];
  const other = methods[/** @type {keyof typeof methods} */ (name)];
  return [`${text(callee.object)}${callee.optional ? '?.' : '.'}${other}(${given.map(text).join(', ')})`];
}
