// SPDX-License-Identifier: Apache-2.0
// Who we are and where the API server is. Kubeconfig files, client certificates, tokens and exec plugins are client-node's
// KubeConfig, which does them soundly. Its connections are not used: it opens one, with its handshake, for each request.
// The deep import leaves the generated models of every API out of a bundle.

import { existsSync } from 'node:fs';
import type { RequestOptions } from 'node:https';
import type { ConnectionOptions } from 'node:tls';
import { createHash } from 'node:crypto';
import { KubeConfig } from '@kubernetes/client-node/dist/config.js';
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

const TOKEN_PATH = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * Finds the configuration: the given file, else $KUBECONFIG, else the pod's service account, else ~/.kube/config.
 * @throws Error that names what was looked for.
 */
export function loadKubeConfig(options: { kubeconfig?: string; context?: string }): KubeConfig {
  const config = new KubeConfig();
  const env = process.env;
  if (options.kubeconfig !== undefined) {
    config.loadFromFile(options.kubeconfig);
  } else if ((env['KUBECONFIG'] ?? '') === '' && env['KUBERNETES_SERVICE_HOST'] && existsSync(TOKEN_PATH)) {
    config.loadFromCluster();
  } else {
    config.loadFromDefault();
  }
  if (options.context !== undefined) {
    config.setCurrentContext(options.context);
  }
  const server = config.getCurrentCluster()?.server;
  const invented = options.kubeconfig === undefined && !env['KUBECONFIG'] && server === 'http://localhost:8080';
  if (server === undefined || invented) {
    const where = options.kubeconfig ?? env['KUBECONFIG'] ?? 'a service account or ~/.kube/config';
    throw new Error(`no cluster found in ${where}: set KUBECONFIG to a file whose current context names a cluster`);
  }
  return config;
}

/** Keeps the credentials fresh: read again every minute, and at once after the server has refused them. */
export class Credentials {
  readonly #load: () => KubeConfig;
  readonly #clock: Clock;
  readonly #log: Log;
  #config: KubeConfig;
  #access: Promise<Access> | undefined;
  #last: Access | undefined;
  #readAtMs = 0;

  /** Loads at once, so that a wrong path is an error of the start and not of the first request. */
  constructor(load: () => KubeConfig, clock: Clock = realClock, log: Log = silentLog) {
    this.#load = load;
    this.#clock = clock;
    this.#log = log;
    this.#config = load();
  }

  access(): Promise<Access> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#access === undefined || nowMs - this.#readAtMs > REREAD_AFTER_MS) {
      const first = this.#access === undefined && this.#last === undefined;
      this.#readAtMs = nowMs;
      this.#access = this.#read(!first);
    }
    return this.#access;
  }

  /** The server said 401: whatever is cached is not to be trusted. */
  distrust(): void {
    this.#access = undefined;
  }

  async #read(reload: boolean): Promise<Access> {
    try {
      // An exec plugin caches its own token with its expiry; loading anew would run the plugin every minute.
      if (reload && this.#config.getCurrentUser()?.exec == null) {
        this.#config = this.#load();
      }
      this.#last = await accessOf(this.#config);
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
