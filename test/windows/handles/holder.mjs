// Opens one object of every kind and prints what it opened, a JSON object a line: the oracle of the tests beside it.
// Shares no code with the tool: its own bindings, its own constants. Ends when its standard input does.
import { writeSync } from 'node:fs';
import koffi from 'koffi';

const kernel32 = koffi.load('kernel32.dll');
const advapi32 = koffi.load('advapi32.dll');
const winsock = koffi.load('ws2_32.dll');
const call = (library, name, result, ...parameters) => library.func(name, result, parameters);
const CreateEventW = call(kernel32, 'CreateEventW', 'intptr', 'void *', 'int', 'int', 'str16');
const CreateMutexW = call(kernel32, 'CreateMutexW', 'intptr', 'void *', 'int', 'str16');
const CreateSemaphoreW = call(kernel32, 'CreateSemaphoreW', 'intptr', 'void *', 'int', 'int', 'str16');
const CreateFileMappingW = call(
  kernel32,
  'CreateFileMappingW',
  'intptr',
  'intptr',
  'void *',
  'uint32',
  'uint32',
  'uint32',
  'str16',
);
const CreateFileW = call(
  kernel32,
  'CreateFileW',
  'intptr',
  'str16',
  'uint32',
  'uint32',
  'void *',
  'uint32',
  'uint32',
  'intptr',
);
const CreateNamedPipeW = call(
  kernel32,
  'CreateNamedPipeW',
  'intptr',
  'str16',
  'uint32',
  'uint32',
  'uint32',
  'uint32',
  'uint32',
  'uint32',
  'void *',
);
const ConnectNamedPipe = call(kernel32, 'ConnectNamedPipe', 'int', 'intptr', 'void *');
const OpenProcess = call(kernel32, 'OpenProcess', 'intptr', 'uint32', 'int', 'uint32');
const OpenThread = call(kernel32, 'OpenThread', 'intptr', 'uint32', 'int', 'uint32');
const CloseHandle = call(kernel32, 'CloseHandle', 'int', 'intptr');
const GetCurrentThreadId = call(kernel32, 'GetCurrentThreadId', 'uint32');
const CreateProcessW = call(
  kernel32,
  'CreateProcessW',
  'int',
  'str16',
  'str16',
  'void *',
  'void *',
  'int',
  'uint32',
  'void *',
  'str16',
  'void *',
  'void *',
);
const WaitForSingleObject = call(kernel32, 'WaitForSingleObject', 'uint32', 'intptr', 'uint32');
const SetHandleInformation = call(kernel32, 'SetHandleInformation', 'int', 'intptr', 'uint32', 'uint32');
const RegOpenKeyExW = call(advapi32, 'RegOpenKeyExW', 'uint32', 'intptr', 'str16', 'uint32', 'uint32', 'void *');
const WSAStartup = call(winsock, 'WSAStartup', 'int', 'uint16', 'void *');
const socket = call(winsock, 'socket', 'intptr', 'int', 'int', 'int');
const bind = call(winsock, 'bind', 'int', 'intptr', 'void *', 'int');
const listen = call(winsock, 'listen', 'int', 'intptr', 'int');
const connect = call(winsock, 'connect', 'int', 'intptr', 'void *', 'int');
const accept = call(winsock, 'accept', 'intptr', 'intptr', 'void *', 'void *');
const closesocket = call(winsock, 'closesocket', 'int', 'intptr');
const getsockname = call(winsock, 'getsockname', 'int', 'intptr', 'void *', 'void *');

function say(facts) {
  writeSync(1, `${JSON.stringify(facts)}\n`);
}

function object(key, value, facts) {
  if (value === 0 || value === -1) throw new Error(`${key} could not be opened`);
  say({ key, value, ...facts });
  return value;
}

const id = process.pid;
const [directory] = process.argv.slice(2);
object('event', CreateEventW(null, 1, 0, `unclosed-${id}-event`), {
  type: 'Event',
  name: `\\unclosed-${id}-event`,
  access: 0x1f0003,
});
object('unnamed event', CreateEventW(null, 1, 0, null), { type: 'Event', access: 0x1f0003 });
object('hostile event', CreateEventW(null, 1, 0, `unclosed-${id}\u001b[31m\n"<script>\ud800`), {
  type: 'Event',
  name: `\\unclosed-${id}\u001b[31m\n"<script>\ud800`,
});
object('mutex', CreateMutexW(null, 0, `unclosed-${id}-mutex`), {
  type: 'Mutant',
  name: `\\unclosed-${id}-mutex`,
  access: 0x1f0001,
});
object('semaphore', CreateSemaphoreW(null, 0, 1, null), { type: 'Semaphore', access: 0x1f0003 });
object('section', CreateFileMappingW(-1, null, 4, 0, 4096, `unclosed-${id}-section`), {
  type: 'Section',
  name: `\\unclosed-${id}-section`,
});
const inherited = object('inheritable event', CreateEventW(null, 1, 0, null), { type: 'Event', inheritable: true });
SetHandleInformation(inherited, 1, 1);
const kept = object('protected event', CreateEventW(null, 1, 0, null), { type: 'Event', protectFromClose: true });
SetHandleInformation(kept, 2, 2);

// FILE_FLAG_DELETE_ON_CLOSE asks for DELETE too.
const file = `${directory}\\file of ${id} \u00e4.txt`;
object('file', CreateFileW(file, 0x8000_0000, 7, null, 2, 0x0400_0080, 0), {
  type: 'File',
  name: file,
  access: 0x130089,
});
object('directory', CreateFileW(directory, 0x8000_0000, 7, null, 3, 0x0200_0000, 0), { type: 'File', name: directory });
const pipeName = `\\\\.\\pipe\\unclosed-${id}`;
const pipe = object('pipe', CreateNamedPipeW(pipeName, 3, 0, 1, 4096, 4096, 0, null), {
  type: 'File',
  name: pipeName,
  access: 0x12019f,
});
ConnectNamedPipe.async(pipe, null, () => undefined); // No client ever connects: the pipe's lock is held from now on.

const key = Buffer.alloc(8);
for (const [root, path, name] of [
  [-2147483646, 'Software\\Microsoft', 'HKLM\\Software\\Microsoft'],
  [-2147483647, 'Environment', 'HKCU\\Environment'],
]) {
  if (RegOpenKeyExW(root, path, 0, 0x20019, key) === 0) {
    object(`key ${name}`, Number(key.readBigUInt64LE()), { type: 'Key', name, access: 0x20019 });
  }
}

object('own process', OpenProcess(0x1000, 0, id), {
  type: 'Process',
  name: `node.exe (${id})`,
  access: 0x1000,
  ended: false,
});
const thread = GetCurrentThreadId();
object('own thread', OpenThread(0x0800, 0, thread), {
  type: 'Thread',
  name: `thread ${thread} of node.exe (${id})`,
  ended: false,
});
const startup = Buffer.alloc(104);
startup.writeUInt32LE(104);
/** PROCESS_INFORMATION of a child that has ended with 7. */
function endedChild() {
  const started = Buffer.alloc(24);
  CreateProcessW(null, `"${process.execPath}" -e process.exit(7)`, null, null, 0, 0, null, null, startup, started);
  WaitForSingleObject(Number(started.readBigUInt64LE(0)), 60_000);
  return {
    processHandle: Number(started.readBigUInt64LE(0)),
    threadHandle: Number(started.readBigUInt64LE(8)),
    processId: started.readUInt32LE(16),
    threadId: started.readUInt32LE(20),
  };
}
const ended = endedChild();
object('ended process', ended.processHandle, {
  type: 'Process',
  name: `node.exe (${ended.processId})`,
  processId: ended.processId,
  ended: true,
  exitCode: 7,
});
object('ended thread', ended.threadHandle, {
  type: 'Thread',
  name: `thread ${ended.threadId} of node.exe (${ended.processId})`,
  threadId: ended.threadId,
  ended: true,
});
const gone = endedChild();
CloseHandle(gone.processHandle);
object('ended thread of a process without handles', gone.threadHandle, {
  type: 'Thread',
  name: `thread ${gone.threadId} of node.exe (${gone.processId})`,
  threadId: gone.threadId,
  ended: true,
});

WSAStartup(0x202, Buffer.alloc(512));
const [AF_INET, AF_INET6, STREAM, DATAGRAM] = [2, 23, 1, 2];
function address(family, port, loopback = true) {
  const bytes = Buffer.alloc(family === AF_INET ? 16 : 28);
  bytes.writeUInt16LE(family);
  bytes.writeUInt16BE(port, 2);
  if (loopback && family === AF_INET) bytes.writeUInt32BE(0x7f000001, 4);
  if (loopback && family === AF_INET6) bytes.writeUInt8(1, 23);
  return bytes;
}
function portOf(handle) {
  const bytes = Buffer.alloc(28);
  getsockname(handle, bytes, Buffer.from([28, 0, 0, 0]));
  return bytes.readUInt16BE(2);
}
function bound(family, type, loopback) {
  const handle = socket(family, type, type === STREAM ? 6 : 17);
  const bytes = address(family, 0, loopback);
  if (bind(handle, bytes, bytes.length) !== 0) throw new Error('bind failed');
  return handle;
}
const sockets = { type: 'Socket' };
object('unbound TCP', socket(AF_INET, STREAM, 6), { ...sockets, socket: { protocol: 'TCP', state: 'unbound' } });
const listener = bound(AF_INET, STREAM);
listen(listener, 5);
const port = portOf(listener);
object('listening TCP', listener, {
  ...sockets,
  socket: { protocol: 'TCP', state: 'listening', local: `127.0.0.1:${port}` },
});
function connected() {
  const client = socket(AF_INET, STREAM, 6);
  if (connect(client, address(AF_INET, port), 16) !== 0) throw new Error('connect failed');
  return { client, server: accept(listener, null, null), clientPort: portOf(client) };
}
const pair = connected();
object('connected TCP', pair.client, {
  ...sockets,
  socket: { protocol: 'TCP', state: 'connected', local: `127.0.0.1:${pair.clientPort}`, remote: `127.0.0.1:${port}` },
});
object('accepted TCP', pair.server, {
  ...sockets,
  socket: { protocol: 'TCP', state: 'connected', local: `127.0.0.1:${port}`, remote: `127.0.0.1:${pair.clientPort}` },
});
const left = connected();
closesocket(left.server);
object('TCP that the peer closed', left.client, {
  ...sockets,
  socket: { protocol: 'TCP', state: 'closed', local: `127.0.0.1:${left.clientPort}`, remote: `127.0.0.1:${port}` },
});
const udp = bound(AF_INET, DATAGRAM, false);
object('UDP', udp, { ...sockets, socket: { protocol: 'UDP', state: 'bound', local: `0.0.0.0:${portOf(udp)}` } });
const udp6 = bound(AF_INET6, DATAGRAM);
object('UDP over IPv6', udp6, {
  ...sockets,
  socket: { protocol: 'UDPv6', state: 'bound', local: `[::1]:${portOf(udp6)}` },
});
const tcp6 = bound(AF_INET6, STREAM, false);
listen(tcp6, 5);
object('TCP over IPv6', tcp6, {
  ...sockets,
  socket: { protocol: 'TCPv6', state: 'listening', local: `[::]:${portOf(tcp6)}` },
});

say({ ready: true });
process.stdin.on('end', () => process.kill(id, 'SIGKILL')).resume();
