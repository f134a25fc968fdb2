// SPDX-License-Identifier: Apache-2.0
// The socket that fast-cni speaks to. It appears under its name only when it serves, with mode 0600, and its name is
// taken away on the way out: then fast-cni knows at once that nobody is there.
import { chmodSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname } from 'node:path';
import type { Log } from '../kube/log.ts';
import { errorCode } from '../protocol/error-codes.ts';
import { type AgentRequest, type AgentResponse, maxMessageBytes } from '../protocol/messages.ts';
import { formatResponse, parseRequest, stillAtWork } from '../protocol/request.ts';

/** `gone` aborts when the caller has hung up before it was answered. */
export type Handler = (request: AgentRequest, gone: AbortSignal) => Promise<AgentResponse>;

export interface SocketServerOptions {
  readonly path: string;
  readonly handle: Handler;
  /** Told of an answer that nobody took. */
  readonly undelivered: (request: AgentRequest, response: AgentResponse) => Promise<void>;
  readonly log: Log;
}

/** More than a kubelet starts pods at once. */
const maxConnections = 512;
/** A request is written at once; who takes longer than this holds a connection for nothing. */
const readLimitMs = 10_000;
/** How much of a request that is too long is still read, so that its sender gets to read why it is refused. */
const patienceBytes = 4 * maxMessageBytes;
/** A caller that died is noticed by the first write that it does not take. */
const stillAtWorkEveryMs = 500;

export class SocketServer {
  readonly #path: string;
  readonly #o: SocketServerOptions;
  readonly #log: Log;
  readonly #server: Server;
  readonly #open = new Set<Socket>();

  constructor(options: SocketServerOptions) {
    this.#path = options.path;
    this.#o = options;
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

  /**
   * Takes the name away and accepts nobody any more; resolves when open requests are answered or `limitMs` is over. Whoever
   * is not answered by then never is: the connection ends, and with it what is done for its caller.
   */
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
    for (const socket of this.#open) socket.destroy();
    await closed;
  }

  #serve(socket: Socket): void {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const gone = new AbortController();
    this.#open.add(socket);
    const timer = setTimeout(() => socket.destroy(), readLimitMs);
    socket.on('error', (error) => {
      this.#log.debug({ err: error }, 'a connection broke off');
    });
    socket.on('close', () => {
      clearTimeout(timer);
      this.#open.delete(socket);
      gone.abort();
    });
    socket.on('data', (chunk) => {
      // What is beyond the limit is only counted.
      if (bytes <= maxMessageBytes) chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > patienceBytes) socket.destroy();
    });
    socket.on('end', () => {
      clearTimeout(timer);
      this.#answer(socket, Buffer.concat(chunks).toString('utf8'), gone.signal).catch((error: unknown) => {
        this.#log.error({ err: error }, 'an answer could not be sent');
        socket.destroy();
      });
    });
  }

  async #answer(socket: Socket, text: string, gone: AbortSignal): Promise<void> {
    const parsed = parseRequest(text);
    if ('error' in parsed) {
      this.#log.warn({ code: parsed.error.code, answer: parsed.error.msg }, 'refused a request');
      socket.end(formatResponse(parsed.error));
      return;
    }
    const { request } = parsed;
    const beat = setInterval(() => socket.write(stillAtWork), stillAtWorkEveryMs);
    const response = await this.#timed(request, gone).finally(() => {
      clearInterval(beat);
    });
    if (!(await send(socket, formatResponse(response)))) await this.#o.undelivered(request, response);
  }

  async #timed(request: AgentRequest, gone: AbortSignal): Promise<AgentResponse> {
    const startMs = performance.now();
    const { command, containerId, pod } = request;
    const response = await this.#try(request, gone);
    const fields = { command, containerId, pod, ms: Math.round((performance.now() - startMs) * 10) / 10 };
    if (response.ok) this.#log.debug(fields, 'answered');
    else this.#log.warn({ ...fields, code: response.code, answer: response.msg }, 'answered with an error');
    return response;
  }

  async #try(request: AgentRequest, gone: AbortSignal): Promise<AgentResponse> {
    try {
      return await this.#o.handle(request, gone);
    } catch (error) {
      this.#log.error({ err: error, request }, 'a request failed');
      const msg = `${request.command} failed in the agent: ${error instanceof Error ? error.message : String(error)}`;
      return { ok: false, code: errorCode.internal, msg };
    }
  }
}

/** Whether the other side's kernel took it all. */
function send(socket: Socket, text: string): Promise<boolean> {
  return new Promise((resolve) => {
    if (socket.destroyed) {
      resolve(false);
      return;
    }
    socket.once('finish', () => {
      resolve(true);
    });
    socket.once('close', () => {
      resolve(false);
    });
    socket.end(text);
  });
}
