#!/usr/bin/env node
// On Windows this is the tool; on Linux it hands itself to a Windows Node.js under Wine, which comes here again.
import { writeSync } from 'node:fs';
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
  process.exitCode = await launch(fileURLToPath(import.meta.url), process.argv.slice(2));
} else {
  // A throw must not end in Node's own exit code 1, which means "findings".
  const reason = whyNotHere() ?? (await import(new URL('../bundle/start.js', import.meta.url).href).then(({ start }) => start()).catch((error) => error.stack));
  if (reason !== undefined) {
    writeSync(2, `unclosed: ${reason}\n`);
    process.exitCode = 2;
  }
}
