// A small service for the demo on a machine without a compiler: it works, and leaves handles behind. It opens files by
// Node.js, and calls Windows by koffi, whose calls have no lines of JavaScript. Each mistake is marked BUG.
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';

// Under Wine, koffi may have to look for its binary where the launcher keeps it.
const host = JSON.parse(process.env.UNCLOSED_HOST ?? '{}');
if (host.nativeModules !== undefined) Object.assign(process, { resourcesPath: host.nativeModules });
const koffi = /** @type {typeof import('koffi').default} */ (createRequire(import.meta.url)('koffi'));

const kernel32 = koffi.load('kernel32.dll');
const CreateEventW = kernel32.func('intptr CreateEventW(intptr attributes, int manual, int initial, str16 name)');
const SetEvent = kernel32.func('int SetEvent(intptr event)');
const CloseHandle = kernel32.func('int CloseHandle(intptr handle)');
const advapi32 = koffi.load('advapi32.dll');
const RegOpenKeyExW = advapi32.func(
  'int RegOpenKeyExW(intptr root, str16 name, uint32 none, uint32 access, void *key)',
);
const RegCloseKey = advapi32.func('int RegCloseKey(intptr key)');

const HKEY_LOCAL_MACHINE = -0x7fff_fffe;
const KEY_READ = 0x2_0019;

function openLog() {
  return openSync(process.execPath, 'r');
}

/** @param {number} request */
function serve(request) {
  const log = openLog();
  if (request % 3 === 2) return; // BUG: the log stays open
  closeSync(log);
}

function readSettings() {
  const key = new BigInt64Array(1);
  const error = RegOpenKeyExW(HKEY_LOCAL_MACHINE, 'SOFTWARE', 0, KEY_READ, key);
  if (error !== 0) RegCloseKey(Number(key[0]));
  // BUG: the key is closed only when it could not be opened
}

/** @param {number} stopEvent */
function stopWorker(stopEvent) {
  SetEvent(stopEvent);
  CloseHandle(stopEvent);
}

/** @param {number} stopEvent */
function shutDown(stopEvent) {
  SetEvent(stopEvent); // BUG: the event has just been closed
  CloseHandle(stopEvent); // BUG: stopWorker closed it
}

const stopEvent = Number(CreateEventW(0, 1, 0, null));
for (let request = 0; request < 6; request += 1) serve(request);
readSettings();
stopWorker(stopEvent);
shutDown(stopEvent);
