// SPDX-License-Identifier: Apache-2.0
// Who we are and where the API server is. What a kubeconfig means is client-node's knowledge; its connections are not used:
// it opens one, with its handshake, for each request.

import type { RequestOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { createHash } from 'node:crypto';
import type { KubeConfig } from '@kubernetes/client-node/dist/config.js';
import { type Clock, realClock } from './clock.ts';
import { type Log, silentLog } from './log.ts';

/** The TLS settings that a kubeconfig can hold. */
export type TlsSettings = Pick<
  ConnectionOptions,
  'ca' | 'cert' | 'key' | 'pfx' | 'passphrase' | 'rejectUnauthorized' | 'servername'
>;

/** What one request needs to be let in. */
export interface Access {
  /** Scheme, host and port. */
  readonly origin: string;
  /** What the server's URL has behind its port, for API servers behind a path; else empty. */
  readonly prefix: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsSettings;
  readonly proxyUrl: string | undefined;
  /** Changes exactly when a new connection is needed: the CA, the client certificate, the server. */
  readonly fingerprint: string;
}

/** Bound tokens rotate on disk well before they expire; client-go reads them again every minute too. */
const REREAD_AFTER_MS = 60_000;
/** After a refusal; sooner there is nothing new to read, and every call of a client without rights would read all files. */
const REREAD_REFUSED_AFTER_MS = 1000;
/** A plugin may ask a cloud, but no call waits for ever. */
const READ_LIMIT_MS = 15_000;

/** Keeps the credentials fresh: read again every minute, and at once after the server has refused them. */
export class Credentials {
  readonly #load: () => KubeConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  #config: KubeConfig;
  #access: Promise<Access> | undefined;
  #last: Access | undefined;
  #readAtMs = 0;
  #isRefused = false;

  /** Loads at once, so that a wrong path is an error of the start and not of the first request. */
  constructor(load: () => KubeConfig, clock: Clock = realClock, log: Log = silentLog) {
    this.#load = load;
    this.#clock = clock;
    this.#log = log;
    this.#config = load();
  }

  /** The same object for as long as nothing was read again. @throws Error where they never could be read */
  access(): Promise<Access> {
    const nowMs = this.#clock.monotonicMs();
    const rereadAfterMs = this.#isRefused ? REREAD_REFUSED_AFTER_MS : REREAD_AFTER_MS;
    if (this.#access === undefined || nowMs - this.#readAtMs > rereadAfterMs) {
      this.#readAtMs = nowMs;
      this.#access = this.#read();
    }
    return this.#access;
  }

  /** The server said 401: whatever is cached is not to be trusted. */
  distrust(): void {
    this.#isRefused = true;
  }

  async #read(): Promise<Access> {
    const isRefused = this.#isRefused;
    this.#isRefused = false;
    try {
      // An exec plugin's answer is kept until it expires, and with its config: loading anew runs the plugin, which is right
      // only where the server refused what it gave.
      if (this.#last !== undefined && (isRefused || !usesPlugin(this.#config))) {
        this.#config = this.#load();
      }
      this.#last = await this.#inTime(accessOf(this.#config));
      return this.#last;
    } catch (error) {
      if (this.#last === undefined) {
        this.#access = undefined;
        throw error;
      }
      this.#log.warn({ err: error }, 'cannot read the credentials again; the former ones stay in use');
      return this.#last;
    }
  }

  async #inTime(access: Promise<Access>): Promise<Access> {
    const inTime = new AbortController();
    const late = this.#clock.sleep(READ_LIMIT_MS, inTime.signal).then(() => undefined);
    try {
      const first = await Promise.race([access, late]);
      if (first === undefined) {
        throw new Error(`the plugin that gives the credentials has not answered within ${READ_LIMIT_MS} ms`);
      }
      return first;
    } finally {
      inTime.abort();
    }
  }
}

function usesPlugin(config: KubeConfig): boolean {
  const user = config.getCurrentUser();
  return user?.exec != null || user?.authProvider?.config?.exec != null;
}

async function accessOf(config: KubeConfig): Promise<Access> {
  const cluster = config.getCurrentCluster();
  if (cluster === null) {
    throw new Error(`the kubeconfig's current context "${config.getCurrentContext()}" names no cluster`);
  }
  // applyToHTTPSOptions is the one public door to what KubeConfig knows. It also makes an https.Agent, which opens nothing
  // until used and is cached inside.
  const found: RequestOptions = {};
  await config.applyToHTTPSOptions(found);
  const url = new URL(cluster.server);
  const tls: TlsSettings = {};
  for (const name of ['ca', 'cert', 'key', 'pfx', 'passphrase', 'rejectUnauthorized', 'servername'] as const) {
    if (found[name] !== undefined) {
      Object.assign(tls, { [name]: found[name] });
    }
  }
  const proxyUrl = cluster.proxyUrl === '' ? undefined : cluster.proxyUrl;
  const material = JSON.stringify([url.origin, proxyUrl, tls]);
  return {
    origin: url.origin,
    prefix: url.pathname.replace(/\/+$/, ''),
    headers: headersOf(found),
    tls,
    proxyUrl,
    fingerprint: createHash('sha256').update(material).digest('hex'),
  };
}

function headersOf(found: RequestOptions): Record<string, string> {
  const headers: Record<string, string> = {};
  if (typeof found.auth === 'string') {
    headers['authorization'] = `Basic ${Buffer.from(found.auth).toString('base64')}`;
  }
  for (const [name, value] of Object.entries((found.headers ?? {}) as Record<string, unknown>)) {
    // A token file may end with a newline, which no header can carry.
    headers[name.toLowerCase()] = String(value).trim();
  }
  return headers;
}
