// SPDX-License-Identifier: Apache-2.0
// The program that makes and answers the tests' traffic. `serve` is what a test pod runs: it echoes, and tells each
// caller by which address it sees it. `ask` takes orders as JSON lines and answers each by one; tests run it in the
// network namespaces of pods and machines. It imports nothing of ours: pods get this one file from a ConfigMap.
import { createSocket } from 'node:dgram';
import { existsSync, readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { connect, createServer, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

export const echoPort = 8080;
export const probePort = 8081;
/** Takes all and answers with how much it was. */
export const sinkPort = 8082;
export const webhookPort = 8443;

export interface Order {
  do: 'tcp' | 'push' | 'udp' | 'refused' | 'open' | 'close' | 'cast';
  host: string;
  port: number;
  /** How many connections, datagrams or flows. */
  count: number;
  /** In each of them. */
  bytes: number;
}

export interface Answer {
  /** Of how many all came back as it was sent. */
  answered: number;
  /** The addresses that the other side saw. */
  peers: string[];
  errors: string[];
  /** From the first byte to the last. */
  elapsedMs: number;
}

const patienceMs = 3000;
/** What is broken need not be shown twenty times. */
const mostFailures = 3;
const payload = (bytes: number, seed: number): Buffer => Buffer.alloc(bytes, `${seed} the quick brown fox `);

/** One connection: the peer's word on who we are, then everything that was sent comes back. */
function tcpOnce({ host, port, bytes }: Order, seed: number): Promise<string> {
  const sent = payload(bytes, seed);
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const received: Buffer[] = [];
    const timer = setTimeout(() => socket.destroy(new Error(`no end of the TCP exchange within its time`)), 20_000);
    socket.on('connect', () => socket.end(sent));
    socket.on('data', (chunk) => received.push(chunk));
    socket.on('error', reject);
    socket.on('close', () => {
      clearTimeout(timer);
      const all = Buffer.concat(received);
      const head = all.indexOf('\n');
      if (all.subarray(head + 1).equals(sent)) resolve(all.subarray(0, head).toString());
      else reject(new Error(`${all.length - head - 1} of ${bytes} bytes came back`));
    });
  });
}

/** One direction alone: the other side takes all and says how much. */
function pushOnce({ host, port, bytes }: Order, seed: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    let said = '';
    socket.on('connect', () => socket.end(payload(bytes, seed)));
    socket.on('data', (chunk) => (said += chunk.toString()));
    socket.on('error', reject);
    socket.on('close', () => (said === `${bytes}\n` ? resolve('') : reject(new Error(`${said} of ${bytes} arrived`))));
  });
}

/** One datagram and its answer, from a port of its own. A socket that is connected also hears of ICMP errors. */
function udpOnce({ host, port, bytes }: Order, seed: number): Promise<string> {
  const sent = payload(bytes, seed);
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const end = (act: () => void): void => {
      clearTimeout(timer);
      socket.close();
      act();
    };
    const timer = setTimeout(() => end(() => reject(new Error('no answer to a datagram'))), patienceMs);
    socket.on('error', (error) => end(() => reject(error)));
    socket.on('message', (data) => {
      const head = data.indexOf('\n');
      const isWhole = data.subarray(head + 1).equals(sent);
      end(() => (isWhole ? resolve(data.subarray(0, head).toString()) : reject(new Error('another datagram'))));
    });
    socket.connect(port, host, () => socket.send(sent));
  });
}

/** Resolves where the port is told to be closed, which is an ICMP error that has found its way back. */
async function refusedOnce(order: Order, seed: number): Promise<string> {
  const answer = await udpOnce(order, seed).catch((error: unknown) => error);
  if (answer instanceof Error && answer.message.includes('ECONNREFUSED')) return '';
  throw new Error(`not refused but: ${answer instanceof Error ? answer.message : String(answer)}`);
}

/** Sends and waits for nothing: to groups, and to all on the link. */
function castOnce({ host, port, bytes }: Order, seed: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(host.includes(':') ? 'udp6' : 'udp4');
    socket.on('error', reject);
    socket.send(payload(bytes, seed), port, host, (error) => {
      socket.close();
      if (error === null) resolve('');
      else reject(error);
    });
  });
}

interface Flow {
  socket: Socket;
  error: string;
  sent: number;
  received: number;
}

let flows: Flow[] = [];
let pulse: NodeJS.Timeout | undefined;

function openFlow({ host, port }: Order): Promise<Flow> {
  return new Promise((resolve, reject) => {
    const flow: Flow = { socket: connect({ host, port }), error: '', sent: 0, received: 0 };
    let isGreeted = false;
    flow.socket.on('error', (error) => {
      flow.error = error.message;
      reject(error);
    });
    flow.socket.on('end', () => (flow.error ||= 'the other side ended it'));
    flow.socket.on('data', (chunk) => {
      if (isGreeted) flow.received += chunk.length;
      else isGreeted = true;
      resolve(flow);
    });
  });
}

/** Opens flows beside those that are open. From then on each says something every 200 ms. */
async function open(order: Order): Promise<Answer> {
  const more = await Promise.all(Array.from({ length: order.count }, () => openFlow(order)));
  flows.push(...more);
  pulse ??= setInterval(() => {
    for (const flow of flows.filter((one) => one.error === '')) {
      flow.socket.write('still here\n');
      flow.sent += 'still here\n'.length;
    }
  }, 200);
  return { answered: more.length, peers: [], errors: [], elapsedMs: 0 };
}

/** Waits until what was said has come back, ends the flows and tells how they fared. */
async function close(): Promise<Answer> {
  clearInterval(pulse);
  pulse = undefined;
  const untilMs = performance.now() + patienceMs;
  const isWhole = (one: Flow): boolean => one.error === '' && one.received === one.sent;
  while (!flows.every(isWhole) && performance.now() < untilMs) await new Promise((resolve) => setTimeout(resolve, 50));
  const errors = flows.filter((one) => !isWhole(one)).map((one) => one.error || `${one.received} of ${one.sent} bytes`);
  const answered = flows.filter(isWhole).length;
  for (const { socket } of flows) socket.destroy();
  flows = [];
  return { answered, peers: [], errors: [...new Set(errors)], elapsedMs: 0 };
}

const once = { tcp: tcpOnce, push: pushOnce, udp: udpOnce, refused: refusedOnce, cast: castOnce };

async function carryOut(order: Order): Promise<Answer> {
  if (order.do === 'open') return open(order);
  if (order.do === 'close') return close();
  const startedMs = performance.now();
  const [peers, errors] = [new Set<string>(), new Set<string>()];
  let [answered, failed] = [0, 0];
  for (let seed = 0; seed < order.count && failed < mostFailures; seed += 1) {
    try {
      peers.add(await once[order.do](order, seed));
      answered += 1;
    } catch (error) {
      failed += 1;
      errors.add(error instanceof Error ? error.message : String(error));
    }
  }
  return { answered, peers: [...peers], errors: [...errors], elapsedMs: performance.now() - startedMs };
}

function ask(): void {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const { id, ...order } = JSON.parse(line) as Order & { id: number };
    carryOut(order).then(
      (answer) => console.log(JSON.stringify({ id, ...answer })),
      (error: unknown) =>
        console.log(JSON.stringify({ id, answered: 0, peers: [], errors: [String(error)], elapsedMs: 0 })),
    );
  });
  process.stdin.on('end', () => process.exit(0));
}

/** Refuses what bears the label `refuse`, so that a test sees whose answer it got. */
function judge(body: string): string {
  const { request } = JSON.parse(body) as { request: { uid: string; object: { metadata: { labels?: object } } } };
  const allowed = !('refuse' in (request.object.metadata.labels ?? {}));
  const response = { uid: request.uid, allowed, status: { message: 'a pod has looked at it' } };
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response });
}

function serveWebhook(folder: string): void {
  const pair = { key: readFileSync(`${folder}/tls.key`), cert: readFileSync(`${folder}/tls.crt`) };
  createHttpsServer(pair, (request, response) => {
    const body: Buffer[] = [];
    request.on('data', (chunk: Buffer) => body.push(chunk));
    request.on('end', () => {
      response.setHeader('content-type', 'application/json');
      response.end(judge(Buffer.concat(body).toString()));
    });
  }).listen(webhookPort);
}

function serve(certificates: string | undefined): void {
  createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => socket.destroy());
    socket.write(`${socket.remoteAddress}\n`);
    socket.pipe(socket);
  }).listen(echoPort, '0.0.0.0');
  createServer({ allowHalfOpen: true }, (socket) => {
    let taken = 0;
    socket.on('error', () => socket.destroy());
    socket.on('data', (chunk) => (taken += chunk.length));
    socket.on('end', () => socket.end(`${taken}\n`));
  }).listen(sinkPort, '0.0.0.0');
  const datagrams = createSocket('udp4');
  datagrams.on('message', (data, from) => {
    datagrams.send([`${from.address}\n`, data], from.port, from.address);
  });
  datagrams.bind(echoPort);
  createHttpServer((_request, response) => response.end('well\n')).listen(probePort);
  if (certificates !== undefined && existsSync(certificates)) serveWebhook(certificates);
  process.on('SIGTERM', () => process.exit(0));
}

if (import.meta.main) {
  const [word, folder] = process.argv.slice(2);
  if (word === 'serve') serve(folder);
  else ask();
}
