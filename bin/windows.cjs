// The tool in Windows Node.js. Starts the bundle, which is one function. The code that V8 compiled when it was bundled
// is in a file beside it, because compiling took half of the time of a start.
'use strict';
const { existsSync, readFileSync, writeFileSync, writeSync } = require('node:fs');
const { join } = require('node:path');
const { Script } = require('node:vm');

const directory = join(__dirname, '../bundle');
const bundle = join(directory, 'unclosed.js');
const compiled = join(directory, `unclosed-${process.versions.v8}.compiled`);

/**
 * If the compiled code is of another version of V8, or for other flags, V8 compiles the bundle itself. But it
 * recognises another bundle only by its length. So the file with the compiled code begins with the bundle's first line,
 * a hash of its content (scripts/bundle.js). After an edit by hand that line must be changed, too.
 */
function load() {
  const text = readFileSync(bundle, 'latin1');
  const file = existsSync(compiled) ? readFileSync(compiled) : Buffer.alloc(0);
  const line = firstLine(text);
  const isOfText = file.toString('latin1', 0, line.length) === line;
  return new Script(text, { filename: bundle, ...(isOfText && { cachedData: file.subarray(line.length) }) });
}

/**
 * @param {string} text
 */
function firstLine(text) {
  return text.slice(0, text.indexOf('\n') + 1);
}

/**
 * Runs the command that this process was started with.
 *
 * @param {Script} script
 * @returns {Promise<typeof import('../dist/cli/start.js')>} the tool, which has run
 */
async function run(script) {
  const tool = /** @type {typeof import('../dist/cli/start.js')} */ ({});
  script.runInThisContext()(tool, require, { exports: tool }, bundle, directory);
  await tool.start();
  return tool;
}

/**
 * Saves the code that V8 has compiled until now.
 *
 * @param {Script} script
 */
function save(script) {
  const line = firstLine(readFileSync(bundle, 'latin1'));
  writeFileSync(compiled, Buffer.concat([Buffer.from(line, 'latin1'), script.createCachedData()]));
}

async function start() {
  try {
    const tool = await run(load());
    await tool.end();
  } catch (error) {
    // The bundle cannot be loaded. Node's own exit code would be 1, which means "findings".
    process.exitCode = 2;
    try {
      writeSync(2, `unclosed: ${error instanceof Error ? error.stack : error}\n`);
    } catch {
      // Nothing reads stderr: the exit code must be enough.
    }
  }
}

if (require.main === module) start();

module.exports = { load, run, save, start };
