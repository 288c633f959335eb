// A server that ends the process in a callback, while it listens and has connections open. It has closed one of them.
import { connect, createServer } from 'node:net';

const CONNECTIONS = 12;
let accepted = 0;
const server = createServer((socket) => {
  socket.on('error', () => {});
  accepted += 1;
  if (accepted === 1) socket.destroy();
  if (accepted === CONNECTIONS) setTimeout(() => process.exit(0), 50);
});
server.listen(0, '127.0.0.1', () => {
  const { port } = server.address();
  for (let index = 0; index < CONNECTIONS; index++) connect(port, '127.0.0.1').on('error', () => {});
});
