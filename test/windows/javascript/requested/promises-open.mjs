import { open } from 'node:fs/promises';
globalThis.kept = [];
async function openLater(path) {
  await null;
  globalThis.kept.push(await open(path)); // leak
}
await openLater(import.meta.filename);
process.exit();
