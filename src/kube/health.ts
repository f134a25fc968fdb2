// SPDX-License-Identifier: Apache-2.0
// What the kubelet and Prometheus ask a program: /healthz (also /livez), /readyz, /metrics. As the API server answers
// them: `ok`, or 500 with every check by name; ?verbose lists them when all is well too, ?exclude=NAME leaves one out, and
// /readyz/NAME asks for one alone. Reasons are not withheld, since nothing here is secret and people look for them.

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
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://health');
    const [, root = '', name, ...more] = pathname.split('/');
    const checks = this.#checksOf(root);
    const { metrics } = this.#o;
    if (checks !== undefined && name === undefined) {
      await reportAll(root, checks, searchParams, response);
    } else if (checks?.has(name ?? '') && more.length === 0) {
      const [result] = await runAll(checks, (each) => each === name);
      const text = result?.because === undefined ? 'ok' : `internal server error: ${result.because}\n`;
      answer(response, result?.because === undefined ? 200 : 500, text);
    } else if (pathname === '/metrics' && metrics !== undefined) {
      const { registry } = metrics;
      response.writeHead(200, { 'content-type': registry.contentType }).end(await registry.metrics());
    } else {
      const known = [...(checks?.keys() ?? [])].map((each) => `/${root}/${each}`);
      answer(response, 404, `there are ${known.length > 0 ? known.join(', ') : '/healthz, /readyz and /metrics'}\n`);
    }
  }

  #checksOf(root: string): ReadonlyMap<string, Check> | undefined {
    if (root === 'readyz') {
      return this.#ready;
    }
    return root === 'healthz' || root === 'livez' ? this.#health : undefined;
  }
}

interface Result {
  readonly name: string;
  /** Absent when well. */
  readonly because: string | undefined;
}

function runAll(checks: ReadonlyMap<string, Check>, isAsked: (name: string) => boolean): Promise<Result[]> {
  const asked = [...checks].filter(([name]) => isAsked(name));
  return Promise.all(asked.map(async ([name, check]) => ({ name, because: await run(check) })));
}

async function reportAll(
  root: string,
  checks: ReadonlyMap<string, Check>,
  query: URLSearchParams,
  response: ServerResponse,
): Promise<void> {
  const excluded = query.getAll('exclude');
  const results = await runAll(checks, (name) => !excluded.includes(name));
  const failed = results.some(({ because }) => because !== undefined);
  if (!failed && !query.has('verbose')) {
    answer(response, 200, 'ok');
    return;
  }
  const lines = results.map(({ name, because }) =>
    because === undefined ? `[+]${name} ok` : `[-]${name} failed: ${because}`,
  );
  for (const name of excluded) {
    lines.push(checks.has(name) ? `[+]${name} excluded: ok` : `warn: there is no check "${name}" to exclude`);
  }
  lines.push(`${root} check ${failed ? 'failed' : 'passed'}`, '');
  answer(response, failed ? 500 : 200, lines.join('\n'));
}

function answer(response: ServerResponse, status: number, text: string): void {
  const headers = { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' };
  response.writeHead(status, headers).end(text);
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
