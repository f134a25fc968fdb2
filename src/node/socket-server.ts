// SPDX-License-Identifier: Apache-2.0
// The socket that fast-cni speaks to. It appears under its name only when it serves, with mode 0600, and its name is
// taken away on the way out: then fast-cni knows at once that nobody is there.
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Log } from '../kube/log.ts';
import { errorCode } from '../protocol/error-codes.ts';
import { type AgentRequest, type AgentResponse, maxMessageBytes } from '../protocol/messages.ts';
import { formatResponse, parseRequest } from '../protocol/request.ts';

export type Handler = (request: AgentRequest) => Promise<AgentResponse>;

/** More than a kubelet starts pods at once. */
const maxConnections = 512;
/** A request is written at once; who takes longer than this holds a connection for nothing. */
const readLimitMs = 10_000;

export class SocketServer {
  readonly #path: string;
  readonly #handle: Handler;
  readonly #log: Log;
  readonly #server: Server;

  constructor(options: { path: string; handle: Handler; log: Log }) {
    this.#path = options.path;
    this.#handle = options.handle;
    this.#log = options.log;
    // fast-cni closes its half when its request is written, and still reads.
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      this.#serve(socket);
    });
    this.#server.maxConnections = maxConnections;
  }

  /** Resolves when the socket is there. @throws Error with the path */
  async start(): Promise<void> {
    mkdirSync(dirname(this.#path), { recursive: true });
    const early = `${this.#path}.new`;
    rmSync(early, { force: true });
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(early, resolve);
    });
    chmodSync(early, 0o600);
    renameSync(early, this.#path);
  }

  /** Takes the name away and accepts nobody any more; resolves when open requests are answered or `limitMs` is over. */
  async stop(limitMs: number): Promise<void> {
    rmSync(this.#path, { force: true });
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => {
        resolve();
      });
    });
    const late = new Promise<void>((resolve) => {
      setTimeout(resolve, limitMs).unref();
    });
    await Promise.race([closed, late]);
  }

  #serve(socket: Socket): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const timer = setTimeout(() => socket.destroy(), readLimitMs);
    socket.on('error', (error) => {
      this.#log.debug({ err: error }, 'a connection broke off');
    });
    socket.on('close', () => {
      clearTimeout(timer);
    });
    socket.on('data', (chunk) => {
      bytes += chunk.length;
      if (bytes > maxMessageBytes) socket.destroy();
      else chunks.push(chunk);
    });
    socket.on('end', () => {
      clearTimeout(timer);
      this.#answer(Buffer.concat(chunks).toString('utf8'))
        .then((response) => socket.end(formatResponse(response)))
        .catch((error: unknown) => {
          this.#log.error({ err: error }, 'an answer could not be sent');
          socket.destroy();
        });
    });
  }

  async #answer(text: string): Promise<AgentResponse> {
    const parsed = parseRequest(text);
    if ('error' in parsed) return parsed.error;
    const startMs = performance.now();
    const { command, containerId, pod } = parsed.request;
    const response = await this.#try(parsed.request);
    const fields = { command, containerId, pod, ms: Math.round((performance.now() - startMs) * 10) / 10 };
    if (response.ok) this.#log.debug(fields, 'answered');
    else this.#log.warn({ ...fields, code: response.code, msg: response.msg }, 'answered with an error');
    return response;
  }

  async #try(request: AgentRequest): Promise<AgentResponse> {
    try {
      return await this.#handle(request);
    } catch (error) {
      this.#log.error({ err: error, request }, 'a request failed');
      const msg = `${request.command} failed in the agent: ${error instanceof Error ? error.message : String(error)}`;
      return { ok: false, code: errorCode.internal, msg };
    }
  }
}
