// SPDX-License-Identifier: Apache-2.0
// Stands between a client and a real API server and plays the faults that a real one shows: lost connections, silence,
// refusals. It speaks plain HTTP to the client, so that it can read and answer; the server hears the administrator.
import { readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { ApiServer } from '../cluster/api-server.ts';

/** Answers one request in the server's place. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** What befalls the server's own answer to one request. */
export interface Blow {
  /** How much later the answer begins. */
  readonly delayMs?: number;
  /** How many bytes of it get through before what comes `then`; all if absent. */
  readonly bytes?: number;
  /** `end` looks like the server's own, and may come in the middle of a word; after `silence` nothing comes any more. */
  readonly then?: 'reset' | 'end' | 'silence';
}

export class FaultProxy {
  readonly kubeconfig: string;
  /** Every request that came, as `GET /api/v1/…`. */
  readonly seen: string[] = [];
  /** The first 200 characters of each watch's answer, out of the server itself. */
  readonly watched: string[] = [];
  /** Asked for each request that has no planned answer. */
  fate: (line: string) => Answer | Blow | undefined = () => undefined;
  /** How many connections were taken so far. */
  connections = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #answers: { readonly match: RegExp; readonly answer: Answer }[] = [];
  #mode: 'open' | 'cut' | 'silent' = 'open';

  constructor(server: Server, kubeconfig: string) {
    this.#server = server;
    this.kubeconfig = kubeconfig;
    server.on('connection', (socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
      if (this.#mode === 'cut') {
        socket.destroy();
      }
    });
  }

  static async start(api: ApiServer): Promise<FaultProxy> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    const kubeconfig = join(api.pki, `proxy-${port}.kubeconfig`);
    const cluster = { server: `http://127.0.0.1:${port}`, 'insecure-skip-tls-verify': true };
    writeFileSync(
      kubeconfig,
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'Config',
        clusters: [{ name: 'one', cluster }],
        users: [{ name: 'one', user: { token: 'unused' } }],
        contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
        'current-context': 'one',
      }),
    );
    const proxy = new FaultProxy(server, kubeconfig);
    const read = (name: string): Buffer => readFileSync(join(api.pki, name));
    const agent = new Agent({ ca: read('ca.crt'), cert: read('admin.crt'), key: read('admin.key'), keepAlive: true });
    server.on('request', (request, response) => proxy.#handle(request, response, api.url, agent));
    server.on('close', () => agent.destroy());
    return proxy;
  }

  /** The next request that matches gets this answer, once. */
  answerOnce(match: RegExp, answer: Answer): void {
    this.#answers.push({ match, answer });
  }

  /** Answers that nobody has come for yet. */
  get planned(): number {
    return this.#answers.length;
  }

  forgetAnswers(): void {
    this.#answers.length = 0;
  }

  /** Every connection ends and none is taken. */
  cut(): void {
    this.#mode = 'cut';
    this.dropConnections();
  }

  /** Nothing passes any more, and nobody is told. */
  silence(): void {
    this.#mode = 'silent';
  }

  open(): void {
    this.#mode = 'open';
  }

  dropConnections(): void {
    for (const socket of this.#sockets) {
      socket.resetAndDestroy();
    }
  }

  async stop(): Promise<void> {
    this.dropConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #handle(request: IncomingMessage, response: ServerResponse, url: string, agent: Agent): void {
    const line = `${request.method} ${request.url}`;
    this.seen.push(line);
    const index = this.#answers.findIndex(({ match }) => match.test(line));
    if (index >= 0) {
      const [planned] = this.#answers.splice(index, 1);
      planned?.answer(request, response);
      return;
    }
    const fate = this.fate(line);
    if (typeof fate === 'function') {
      fate(request, response);
      return;
    }
    const { host: _host, authorization: _token, ...headers } = request.headers;
    const upstream = httpsRequest(new URL(request.url ?? '/', url), { method: request.method, headers, agent });
    upstream.on('error', () => response.destroy());
    upstream.on('response', (answer) => {
      const pass = (): void => {
        if (line.includes('watch=1')) {
          answer.once('data', (chunk: Buffer) => this.watched.push(chunk.toString('utf8').slice(0, 200)));
        }
        this.#pass(answer, response, fate);
      };
      if (fate?.delayMs === undefined) pass();
      else setTimeout(pass, fate.delayMs);
    });
    response.on('close', () => upstream.destroy());
    request.pipe(upstream);
  }

  #pass(answer: IncomingMessage, response: ServerResponse, blow: Blow = {}): void {
    // What is cut short must not be known by its length.
    const { 'content-length': _length, ...headers } = answer.headers;
    response.writeHead(answer.statusCode ?? 502, headers);
    response.flushHeaders();
    let left = blow.bytes ?? Number.POSITIVE_INFINITY;
    const isHeard = (): boolean => this.#mode !== 'silent' && !(left === 0 && blow.then === 'silence');
    const strike = (): void => {
      if (blow.then === 'reset') response.socket?.resetAndDestroy();
      if (blow.then === 'end') response.end();
    };
    answer.on('data', (chunk: Buffer) => {
      if (!isHeard() || response.writableEnded) return;
      response.write(chunk.subarray(0, left));
      left = Math.max(0, left - chunk.length);
      // What was written has to leave before the connection does.
      if (left === 0) setImmediate(strike);
    });
    answer.on('end', () => {
      if (isHeard()) response.end();
    });
    answer.on('error', () => response.destroy());
  }
}

/** An answer as the API server words it. */
export function status(code: number, reason: string, headers: Record<string, string> = {}): Answer {
  return (_request, response) => {
    const body = { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason, message: `planned ${reason}`, code };
    response.writeHead(code, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
  };
}

/** A watch that begins well and then says this. */
export function stream(...chunks: string[]): Answer {
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(chunks.join(''));
  };
}
