// SPDX-License-Identifier: Apache-2.0
// Lines between clients and a real API server, one per client, that can be cut, held up or made deaf one by one. What a
// held line delivers, it delivers late and whether or not the client still waits: as packets do that are on the wire when
// their sender gives up. Each line remembers what was asked over it and how it was answered.
import { readFileSync, writeFileSync } from 'node:fs';
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import type { ApiServer } from '../cluster/api-server.ts';

/**
 * `deaf`: requests arrive at once, answers wait as long as the line is so. `leaseless`: like `held`, for what is asked of
 * Leases alone, so that a leader can write and not renew.
 */
export type LineMode = 'open' | 'cut' | 'held' | 'deaf' | 'leaseless';

export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** 0 where no answer came. */
  status: number;
  /** Whether the client had given up before the request went on. */
  readonly isLate: boolean;
}

export class Line {
  readonly kubeconfig: string;
  readonly exchanges: Exchange[] = [];
  readonly #sockets = new Set<Socket>();
  #mode: LineMode = 'open';
  #changed = Promise.withResolvers<void>();

  constructor(kubeconfig: string) {
    this.kubeconfig = kubeconfig;
  }

  get mode(): LineMode {
    return this.#mode;
  }

  set mode(mode: LineMode) {
    this.#mode = mode;
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
    if (mode === 'cut') {
      for (const socket of this.#sockets) socket.resetAndDestroy();
    }
  }

  join(socket: Socket): void {
    if (!this.#sockets.has(socket)) {
      this.#sockets.add(socket);
      socket.once('close', () => this.#sockets.delete(socket));
    }
    if (this.#mode === 'cut') socket.resetAndDestroy();
  }

  /** Resolves once the line is in another mode. */
  async whileIn(mode: LineMode): Promise<void> {
    while (this.#mode === mode) await this.#changed.promise;
  }
}

export class ApiLines {
  readonly #api: ApiServer;
  readonly #server: Server;
  /** Keeps its connections, and sends the administrator's certificate. */
  readonly #agent: Agent;
  readonly #ca: Buffer;
  readonly #lines = new Map<string, Line>();

  private constructor(api: ApiServer, server: Server) {
    this.#api = api;
    this.#server = server;
    const read = (name: string): Buffer => readFileSync(join(api.pki, name));
    this.#ca = read('ca.crt');
    this.#agent = new Agent({ ca: this.#ca, cert: read('admin.crt'), key: read('admin.key'), keepAlive: true });
    server.on('request', (request, response) => {
      this.#pass(request, response).catch(() => response.destroy());
    });
  }

  static async start(api: ApiServer): Promise<ApiLines> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return new ApiLines(api, server);
  }

  /** A new line. The client is who `token` says, or the administrator. The line's name is the path that it begins with. */
  add(name: string, token?: string): Line {
    const { port } = this.#server.address() as AddressInfo;
    const file = join(this.#api.pki, `line-${name}.kubeconfig`);
    // client-node speaks plain HTTP only where no certificate is to be verified.
    const cluster = { server: `http://127.0.0.1:${port}/${name}`, 'insecure-skip-tls-verify': true };
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: 'one', cluster }],
        users: [{ name: 'one', user: token === undefined ? {} : { token } }],
        contexts: [{ name: 'one', context: { cluster: 'one', user: 'one' } }],
        'current-context': 'one',
      }),
    );
    const line = new Line(file);
    this.#lines.set(name, line);
    return line;
  }

  async stop(): Promise<void> {
    for (const line of this.#lines.values()) line.mode = 'cut';
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
    this.#agent.destroy();
  }

  async #pass(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const [, name = '', rest = '/'] = /^\/([^/]+)(\/.*)$/.exec(request.url ?? '') ?? [];
    const line = this.#lines.get(name);
    if (line === undefined) throw new Error(`there is no line ${name}`);
    line.join(request.socket);
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    await line.whileIn('held');
    if (rest.includes('/leases')) await line.whileIn('leaseless');
    if (line.mode === 'cut') return;
    const exchange: Exchange = {
      method: request.method ?? '',
      path: rest,
      status: 0,
      isLate: request.socket.destroyed,
    };
    line.exchanges.push(exchange);
    await this.#forward(line, exchange, request, Buffer.concat(chunks), response);
  }

  #forward(
    line: Line,
    exchange: Exchange,
    request: IncomingMessage,
    body: Buffer,
    response: ServerResponse,
  ): Promise<void> {
    const { host: _host, 'transfer-encoding': _encoding, ...headers } = request.headers;
    const url = new URL(exchange.path, this.#api.url);
    const isToken = headers.authorization !== undefined;
    // A client certificate would win over the token.
    const agent = isToken ? false : this.#agent;
    return new Promise((resolve, reject) => {
      const upstream = httpsRequest(url, { method: exchange.method, headers, agent, ca: this.#ca });
      upstream.on('error', reject);
      upstream.on('response', (answer) => {
        exchange.status = answer.statusCode ?? 0;
        line.whileIn('deaf').then(() => {
          response.writeHead(exchange.status, answer.headers);
          response.flushHeaders();
          answer.pipe(response);
          resolve();
        }, reject);
      });
      // A watch ends with its reader; a request that is under way does not.
      if (url.searchParams.has('watch')) response.on('close', () => upstream.destroy());
      upstream.end(body);
    });
  }
}
