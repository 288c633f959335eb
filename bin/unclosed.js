#!/usr/bin/env node
// On Windows this is the tool; on Linux it hands itself to a Windows Node.js under Wine.
import { writeSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';

/** @returns {string | undefined} undefined: the tool can run here */
function whyNotHere() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (process.arch !== 'x64') return `Cannot run in Node.js for ${process.arch}: the recorder is x64 machine code. Try the x64 Node.js.`;
  if (major < 22 || (major === 22 && minor < 12)) return `Cannot run in Node.js ${process.versions.node}: 22.12 or newer is needed. Try https://nodejs.org/`;
  return undefined;
}

if (process.platform !== 'win32') {
  const { launch } = await import('../launcher/launch.js');
  process.exitCode = await launch(fileURLToPath(new URL('windows.cjs', import.meta.url)), process.argv.slice(2));
} else {
  const reason = whyNotHere();
  if (reason === undefined) {
    await createRequire(import.meta.url)('./windows.cjs').start();
  } else {
    writeSync(2, `unclosed: ${reason}\n`);
    process.exitCode = 2;
  }
}
