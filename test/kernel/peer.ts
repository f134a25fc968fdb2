// SPDX-License-Identifier: Apache-2.0
// A program of its own for the wire tests, since a process has one network namespace: an echo server that first says
// whom it sees, and its clients. Prints one line of JSON.
import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { EventEmitter } from 'node:events';
import { connect, createServer } from 'node:net';

const timeoutMs = 5000;
const [kind = '', ...words] = process.argv.slice(2);

function answer(result: object): void {
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}

const pushed = new EventEmitter();

function serve(port: number): void {
  const tcp = createServer((socket) => {
    socket.write(`${socket.remoteAddress}\n`);
    socket.on('error', () => socket.destroy());
    // The server's push: what nobody has asked for at that moment.
    pushed.on('push', () => socket.write('pushed\n'));
    socket.pipe(socket);
  });
  const udp = createSocket('udp4', (message, { address, port: from }) => {
    if (message.toString() === 'push') pushed.emit('push');
    udp.send(Buffer.concat([Buffer.from(`${address}\n`), message]), from, address);
  });
  udp.bind(port, () => tcp.listen(port, '0.0.0.0', () => process.stdout.write('ready\n')));
}

/** The first line is whom the server saw, the rest must be what was sent. */
function compare(sent: Buffer, came: Buffer): object {
  const end = came.indexOf('\n');
  return { seenAs: came.subarray(0, end).toString(), intact: came.subarray(end + 1).equals(sent) };
}

function callTcp(host: string, port: number, sent: Buffer): void {
  const socket = connect({ host, port, timeout: timeoutMs }, () => socket.end(sent));
  const came: Buffer[] = [];
  socket.on('data', (chunk) => came.push(chunk));
  socket.on('end', () => answer(compare(sent, Buffer.concat(came))));
  socket.on('timeout', () => answer({ error: 'ETIMEDOUT' }));
  socket.on('error', (error: NodeJS.ErrnoException) => answer({ error: error.code }));
}

function callUdp(host: string, port: number, sent: Buffer, localPort: number): void {
  const socket = createSocket('udp4');
  socket.on('message', (message) => answer(compare(sent, message)));
  socket.on('error', (error: NodeJS.ErrnoException) => answer({ error: error.code }));
  setTimeout(() => answer({ error: 'ETIMEDOUT' }), timeoutMs);
  socket.bind(localPort, () => socket.connect(port, host, () => socket.send(sent)));
}

/** Says what comes on the standard input, and prints what is heard; ends with the input. */
function talk(host: string, port: number, localPort: number): void {
  const socket = connect({ host, port, localPort });
  socket.on('error', (error: NodeJS.ErrnoException) => answer({ error: error.code }));
  socket.pipe(process.stdout);
  process.stdin.pipe(socket);
}

/** Datagrams from one port to many: each is a flow of its own. */
function flood(host: string, datagrams: number): void {
  const socket = createSocket('udp4');
  let sent = 0;
  const next = (): void => {
    if (sent === datagrams) answer({ sent });
    const port = 1 + (sent % 60_000);
    sent += 1;
    socket.send('x', port, host, next);
  };
  socket.on('error', () => undefined);
  next();
}

if (kind === 'serve') serve(Number(words[0]));
else if (kind === 'talk') talk(words[0] ?? '', Number(words[1]), Number(words[2]));
else if (kind === 'datagram') {
  const socket = createSocket('udp4');
  socket.send(words[2] ?? '', Number(words[1]), words[0], () => answer({ sent: 1 }));
} else if (kind === 'flood') flood(words[0] ?? '', Number(words[1]));
else {
  const [host = '', port, bytes, localPort = '0'] = words;
  const sent = randomBytes(Number(bytes));
  if (kind === 'tcp') callTcp(host, Number(port), sent);
  else callUdp(host, Number(port), sent, Number(localPort));
}
