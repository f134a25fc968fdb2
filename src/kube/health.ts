// SPDX-License-Identifier: Apache-2.0
// What the kubelet and Prometheus ask a program: /healthz, /readyz with the name of what is not ready, /metrics.

import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type Log, silentLog } from './log.ts';
import type { Metrics } from './metrics.ts';

/** Answers nothing when well, else the reason; throwing is a reason too. */
export type Check = () => string | undefined | Promise<string | undefined>;

export interface HealthOptions {
  /** 0 takes a free one. */
  readonly port: number;
  /** All addresses if absent. */
  readonly host?: string | undefined;
  readonly metrics?: Metrics | undefined;
  readonly log?: Log | undefined;
}

/** A check that hangs is a check that failed. */
const CHECK_TIMEOUT_MS = 2000;

export class HealthServer {
  readonly #o: HealthOptions;
  readonly #log: Log;
  readonly #health = new Map<string, Check>();
  readonly #ready = new Map<string, Check>();
  readonly #server: Server;

  constructor(options: HealthOptions) {
    this.#o = options;
    this.#log = options.log ?? silentLog;
    this.#server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        this.#log.error({ err: error, url: request.url }, 'a health request failed');
        response.destroy();
      });
    });
    this.#server.requestTimeout = 10_000;
  }

  /** Alive: a failure has the kubelet restart the container. */
  healthz(name: string, check: Check): void {
    this.#health.set(name, check);
  }

  /** Ready: a failure takes it out of service, and tells people what it waits for. */
  readyz(name: string, check: Check): void {
    this.#ready.set(name, check);
  }

  /** Answers the port. @throws Error that names the port, where it is taken. */
  start(): Promise<number> {
    const { port, host } = this.#o;
    return new Promise((resolve, reject) => {
      this.#server.once('error', (error) => {
        const where = `${host ?? '*'}:${port}`;
        reject(new Error(`cannot serve health on ${where}: ${error.message}; free the port or choose another`));
      });
      this.#server.listen(port, host, () => {
        this.#server.on('error', (error) => this.#log.error({ err: error }, 'the health server failed'));
        resolve((this.#server.address() as AddressInfo).port);
      });
    });
  }

  stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '').split('?')[0] ?? '';
    if (path === '/healthz' || path === '/livez') {
      await this.#report(this.#health, response);
    } else if (path === '/readyz') {
      await this.#report(this.#ready, response);
    } else if (path === '/metrics' && this.#o.metrics !== undefined) {
      const { registry } = this.#o.metrics;
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics());
    } else {
      response.writeHead(404, { 'content-type': 'text/plain' }).end('there are /healthz, /readyz and /metrics\n');
    }
  }

  async #report(checks: ReadonlyMap<string, Check>, response: ServerResponse): Promise<void> {
    const results = await Promise.all([...checks].map(async ([name, check]) => ({ name, because: await run(check) })));
    const failed = results.some(({ because }) => because !== undefined);
    const lines = results.map(({ name, because }) =>
      because === undefined ? `[+]${name} ok` : `[-]${name} failed: ${because}`,
    );
    lines.push(failed ? 'check failed' : 'ok', '');
    response.writeHead(failed ? 503 : 200, { 'content-type': 'text/plain; charset=utf-8' }).end(lines.join('\n'));
  }
}

async function run(check: Check): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve(`no answer within ${CHECK_TIMEOUT_MS} ms`), CHECK_TIMEOUT_MS);
  });
  try {
    return await Promise.race([check(), late]);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
  }
}
