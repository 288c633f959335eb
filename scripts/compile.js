// Runs an audit with the bundle, and saves the code that V8 compiled for it: see bin/windows.cjs. Runs in Windows
// Node.js.
import { createRequire } from 'node:module';

const { load, run, save } = /** @type {typeof import('../bin/windows.cjs')} */ (
  createRequire(import.meta.url)('../bin/windows.cjs')
);

const script = load();
process.argv = [
  process.execPath,
  '',
  'run',
  '--fail-on',
  'never',
  '--',
  process.env['ComSpec'] ?? 'cmd.exe',
  '/c',
  'exit',
];
const tool = await run(script);
save(script);
await tool.end();
