#!/usr/bin/env node
// On Windows this is the tool; on Linux it hands itself to a Windows Node.js under Wine, which comes here again.
import { writeSync } from 'node:fs';
import module from 'node:module';
import { fileURLToPath } from 'node:url';

/** @returns {string | undefined} undefined: the tool can run here */
function whyNotHere() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (process.arch !== 'x64') return `Cannot run in Node.js for ${process.arch}: the recorder is x64 machine code. Try the x64 Node.js.`;
  if (major < 22 || (major === 22 && minor < 12)) return `Cannot run in Node.js ${process.versions.node}: 22.12 or newer is needed. Try https://nodejs.org/`;
  return undefined;
}

/**
 * Node.js asks the file system several times where each module really lies, which takes most of a start under Wine.
 * Modules of our own that name each other by relative paths lie where these say.
 */
function resolveOwnModulesQuickly() {
  const dist = new URL('../dist/', import.meta.url).href;
  // Node.js 22.15 and newer.
  module.registerHooks?.({
    resolve: (specifier, context, next) =>
      specifier.startsWith('.') && context.parentURL?.startsWith(dist)
        ? { url: new URL(specifier, context.parentURL).href, format: 'module', shortCircuit: true }
        : next(specifier, context),
  });
}

async function runTool() {
  resolveOwnModulesQuickly();
  const { readHost } = await import('../dist/wine/host.js');
  const host = readHost(process.env);
  if (host !== undefined) {
    const { installStandardStreams } = await import('../dist/wine/standard-streams.js');
    installStandardStreams(host);
    // The one place beside its own packages where koffi looks for its binary.
    Object.assign(process, { resourcesPath: host.nativeModules });
  }
  await import(new URL('../dist/cli/main.js', import.meta.url).href);
}

if (process.platform !== 'win32') {
  const { launch } = await import('../launcher/launch.js');
  process.exitCode = await launch(fileURLToPath(import.meta.url), process.argv.slice(2));
} else {
  // A throw must not end in Node's own exit code 1, which means "findings".
  const reason = whyNotHere() ?? (await runTool().catch((error) => error.stack));
  if (reason !== undefined) {
    writeSync(2, `unclosed: ${reason}\n`);
    process.exitCode = 2;
  }
}
