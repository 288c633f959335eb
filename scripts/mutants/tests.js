// `describe` and `it` of vitest, as far as the tests of the areas use them: they collect tests, and run none.

/** @typedef {{ run: () => unknown }} Test */
/** @typedef {(name: string, body: (...args: any[]) => unknown) => void} Declare */

export class Collector {
  /** @type {Test[]} */
  tests = [];

  /** The names of the package, for modules that import them. */
  get names() {
    const describe = (/** @type {string} */ _name, /** @type {() => void} */ body) => body();
    const it = (/** @type {string} */ _name, /** @type {() => unknown} */ body) => void this.tests.push({ run: body });
    return { describe: Object.assign(describe, { each: each(describe) }), it: Object.assign(it, { each: each(it) }) };
  }
}

/**
 * @param {Declare} declare
 * @returns {(rows: readonly unknown[]) => Declare}
 */
function each(declare) {
  return (rows) => (name, body) => {
    for (const row of rows) declare(name, () => body(...(Array.isArray(row) ? row : [row])));
  };
}
