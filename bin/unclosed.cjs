#!/usr/bin/env node
// The tool on Windows. On Linux it runs itself in a Windows Node.js under Wine. It is CommonJS, as is the bundle that
// it loads on Windows: the loader of ES modules would take a tenth of a start.
'use strict';
const { writeSync } = require('node:fs');
const { join } = require('node:path');

/** @returns {string | undefined} undefined: the tool can run here */
function whyNotHere() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (process.arch === 'arm64')
    return 'Cannot run on Windows for ARM64: the recorder is x64 machine code, and records only on x64 Windows. Try an x64 machine.';
  if (process.arch !== 'x64')
    return `Cannot run in Node.js for ${process.arch}: the recorder is x64 machine code. Try the x64 Node.js.`;
  if (major < 22 || (major === 22 && minor < 12))
    return `Cannot run in Node.js ${process.versions.node}: 22.12 or newer is needed. Try https://nodejs.org/`;
  return undefined;
}

/**
 * @param {string} text
 */
function refuse(text) {
  process.exitCode = 2;
  try {
    writeSync(2, `unclosed: ${text}\n`);
  } catch {
    // Nothing reads stderr: the exit code must be enough.
  }
}

async function launch() {
  // When a promise can never settle, Node.js ends with 0, which would mean "no findings". After a throw it ends with 1,
  // "findings".
  let isDone = false;
  process.on(
    'exit',
    () =>
      isDone ||
      refuse(
        'Cannot finish: the launch came to a halt before it was done. This is a fault of unclosed: please report it.',
      ),
  );
  try {
    const args = process.argv.slice(2);
    const isPrinted =
      args[0] === 'completion' &&
      (await import('../launcher/completion.js')).printCompletion(join(__dirname, '../bundle'), args.slice(1));
    if (!isPrinted) {
      const launcher = await import('../launcher/launch.js');
      process.exitCode = await launcher.launch(join(__dirname, 'windows.cjs'), args);
    }
  } catch (error) {
    refuse(error instanceof Error ? (error.stack ?? error.message) : String(error));
  }
  isDone = true;
}

if (process.platform !== 'win32') {
  launch();
} else {
  const reason = whyNotHere();
  if (reason === undefined) require('./windows.cjs').start();
  else refuse(reason);
}
