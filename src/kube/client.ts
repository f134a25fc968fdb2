// SPDX-License-Identifier: Apache-2.0
// The API server as a few typed verbs. Every write names its field manager; a replacement without a resourceVersion is
// refused here, because the API server would take it for "whatever is there now".

import { type Access, Credentials } from './auth.ts';
import { type Clock, realClock } from './clock.ts';
import { type Attempt, KubeError, isReason } from './errors.ts';
import { type ConfigSource, loadKubeConfig } from './kubeconfig.ts';
import type { Log } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type KubeObject, type Resource, apiVersionOf, keyOf, resourcePath } from './object.ts';
import { type CallOptions, type Request, Transport } from './transport.ts';
import { type WatchEvent, type WatchOptions, watchEvents } from './watch.ts';

export type { CallOptions } from './transport.ts';

export interface ConnectOptions extends ConfigSource {
  /** Names this program in managedFields. */
  readonly fieldManager: string;
  readonly userAgent?: string;
  readonly log?: Log;
  readonly metrics?: Metrics;
  /** How long a call may take in all, in milliseconds; 30 s if absent. */
  readonly timeoutMs?: number;
}

export interface ListOptions {
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly labelSelector?: string | undefined;
  /** Objects per page, 500 if absent; 0 asks for all in one. */
  readonly limit?: number;
  /** Absent: a consistent list. '0': whatever the server has in its cache. */
  readonly resourceVersion?: string;
}

export interface ObjectList<T> {
  readonly items: T[];
  readonly resourceVersion: string;
}

export interface PatchOptions {
  readonly type: 'merge' | 'apply';
  readonly namespace?: string | undefined;
  readonly subresource?: 'status';
  /** With apply: take fields over from other managers. */
  readonly force?: boolean;
}

export interface DeleteOptions {
  readonly namespace?: string | undefined;
  /** Preconditions: conflict if the object is another by now. */
  readonly uid?: string;
  readonly resourceVersion?: string;
  readonly gracePeriodSeconds?: number;
  readonly propagation?: 'Background' | 'Foreground' | 'Orphan';
}

const PAGE = 500;
/** More pages than 5 million objects have: a server that never ends its list is an error, not a loop. */
const MAX_PAGES = 10_000;
const PATCH_TYPES = { merge: 'application/merge-patch+json', apply: 'application/apply-patch+yaml' } as const;

/** @throws Error at once when no cluster is configured; whether it answers is seen at the first call. */
export function connect(options: ConnectOptions): KubeClient {
  const credentials = new Credentials(() => loadKubeConfig(options), realClock, options.log);
  const userAgent = options.userAgent ?? options.fieldManager;
  const transport = new Transport({ credentials, userAgent, metrics: options.metrics, timeoutMs: options.timeoutMs });
  return new KubeClient(transport, options.fieldManager);
}

interface ListBody<T> {
  readonly items?: T[] | null;
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
}

/** All methods throw KubeError. */
export class KubeClient {
  readonly fieldManager: string;
  readonly #transport: Transport;
  readonly #clock: Clock;
  /** The query of every write. */
  readonly #manager: string;

  constructor(transport: Transport, fieldManager: string, clock: Clock = realClock) {
    this.#transport = transport;
    this.fieldManager = fieldManager;
    this.#clock = clock;
    this.#manager = `${new URLSearchParams({ fieldManager })}`;
  }

  async get<T extends KubeObject>(r: Resource<T>, name: string, namespace?: string, call?: CallOptions): Promise<T> {
    const attempt = attemptOf('get', r, name, namespace);
    const path = pathOf(attempt, r, { namespace, name });
    return (await this.#transport.call(attempt, { method: 'GET', path }, call)) as T;
  }

  /** Like get, with undefined for what is not there. */
  async find<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    namespace?: string,
    call?: CallOptions,
  ): Promise<T | undefined> {
    try {
      return await this.get(r, name, namespace, call);
    } catch (error) {
      if (isReason(error, 'notFound')) {
        return undefined;
      }
      throw error;
    }
  }

  /**
   * A whole list, page by page; `call` is about each page. `gone` when a continuation expired on the way: the caller begins
   * anew.
   */
  async list<T extends KubeObject>(
    r: Resource<T>,
    options: ListOptions = {},
    call?: CallOptions,
  ): Promise<ObjectList<T>> {
    const items: T[] = [];
    let resourceVersion = '';
    for await (const page of this.pages(r, options, call)) {
      for (const item of page.items) {
        items.push(item);
      }
      resourceVersion = page.resourceVersion;
    }
    return { items, resourceVersion };
  }

  /** The same page by page, for who need not hold all at once. All pages show the one revision that they carry. */
  async *pages<T extends KubeObject>(
    r: Resource<T>,
    options: ListOptions = {},
    call?: CallOptions,
  ): AsyncGenerator<ObjectList<T>, void, undefined> {
    const attempt = attemptOf('list', r, '', options.namespace);
    const query = listQuery(options);
    for (let page = 0; page < MAX_PAGES; page += 1) {
      const path = `${resourcePath(r, { namespace: options.namespace })}?${query}`;
      const body = (await this.#transport.call(attempt, { method: 'GET', path }, call)) as ListBody<T> | undefined;
      const { resourceVersion = '', continue: next = '' } = body?.metadata ?? {};
      // An answer of something that is no API server would read as "nothing is there", and that as deletions.
      if (resourceVersion === '') {
        throw new KubeError('unknown', attempt, 'the answer is no list: metadata.resourceVersion is absent');
      }
      yield { items: body?.items ?? [], resourceVersion };
      if (next === '') {
        return;
      }
      query.set('continue', next);
      query.delete('resourceVersion');
    }
    throw new KubeError('unknown', attempt, `the list has more than ${MAX_PAGES} pages`);
  }

  async create<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    const { name, generateName, namespace } = object.metadata;
    const attempt = attemptOf('create', r, name ?? `${generateName ?? ''}*`, namespace);
    const path = `${pathOf(attempt, r, { namespace })}?${this.#manager}`;
    return (await this.#transport.call(attempt, { method: 'POST', path, body: typed(r, object) }, call)) as T;
  }

  /** Replaces everything but the status, if nobody has changed the object meanwhile; else `conflict`. */
  replace<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    return this.#put(r, object, undefined, call);
  }

  /** Replaces the status alone, with the same fence. */
  replaceStatus<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    return this.#put(r, object, 'status', call);
  }

  /** A merge patch may carry metadata.resourceVersion as its fence; an apply patch is completed with kind and name. */
  async patch<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    patch: object,
    options: PatchOptions,
    call?: CallOptions,
  ): Promise<T> {
    const { namespace, subresource } = options;
    const attempt = attemptOf(subresource === undefined ? 'patch' : `patch ${subresource} of`, r, name, namespace);
    const query = options.type === 'apply' && options.force === true ? `${this.#manager}&force=true` : this.#manager;
    const request: Request = {
      method: 'PATCH',
      path: `${pathOf(attempt, r, { namespace, name, ...(subresource === undefined ? {} : { subresource }) })}?${query}`,
      body: options.type === 'apply' ? applied(r, patch, name, namespace) : patch,
      contentType: PATCH_TYPES[options.type],
    };
    return (await this.#transport.call(attempt, request, call)) as T;
  }

  /** Also `notFound` is thrown: whether that is success, the caller knows. */
  async delete<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    options: DeleteOptions = {},
    call?: CallOptions,
  ): Promise<void> {
    const { namespace, uid, resourceVersion, gracePeriodSeconds, propagation } = options;
    const attempt = attemptOf('delete', r, name, namespace);
    const path = pathOf(attempt, r, { namespace, name });
    // JSON.stringify leaves out what is undefined.
    const preconditions = uid === undefined && resourceVersion === undefined ? undefined : { uid, resourceVersion };
    const body = {
      apiVersion: 'v1',
      kind: 'DeleteOptions',
      propagationPolicy: propagation,
      gracePeriodSeconds,
      preconditions,
    };
    await this.#transport.call(attempt, { method: 'DELETE', path, body }, call);
  }

  /** See watchEvents. */
  watch<T extends KubeObject>(r: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    return watchEvents(this.#transport, r, options, this.#clock);
  }

  /** For what is no object: `raw('GET', '/version')`. What is no JSON is answered as text. */
  raw(method: Request['method'], path: string, body?: object, call?: CallOptions): Promise<unknown> {
    const request: Request = { method, path, textAllowed: true, ...(body === undefined ? {} : { body }) };
    return this.#transport.call({ verb: method, target: path }, request, call);
  }

  /** The way to the server and what lets us in, for what is no request of HTTP. @throws Error where they cannot be read */
  access(): Promise<Access> {
    return this.#transport.access();
  }

  close(): Promise<void> {
    return this.#transport.close();
  }

  async #put<T extends KubeObject>(r: Resource<T>, object: T, subresource?: 'status', call?: CallOptions): Promise<T> {
    const { name = '', namespace, resourceVersion } = object.metadata;
    const attempt = attemptOf(subresource === undefined ? 'replace' : `replace ${subresource} of`, r, name, namespace);
    if (resourceVersion === undefined || resourceVersion === '') {
      throw new KubeError(
        'invalid',
        attempt,
        'metadata.resourceVersion is absent; read the object before replacing it',
      );
    }
    const at = { namespace, name, ...(subresource === undefined ? {} : { subresource }) };
    const path = `${pathOf(attempt, r, at)}?${this.#manager}`;
    return (await this.#transport.call(attempt, { method: 'PUT', path, body: typed(r, object) }, call)) as T;
  }
}

function attemptOf(verb: string, r: Resource<KubeObject>, name: string, namespace?: string): Attempt {
  if (name !== '') return { verb, target: `${r.plural} ${keyOf(name, namespace)}` };
  return { verb, target: namespace === undefined ? r.plural : `${r.plural} in ${namespace}` };
}

/** An empty name would address the whole collection: a DELETE of it is nobody's wish. */
function pathOf(
  attempt: Attempt,
  r: Resource<KubeObject>,
  at: { namespace?: string | undefined; name?: string; subresource?: string },
): string {
  if (at.name === '') {
    throw new KubeError('invalid', attempt, 'metadata.name is empty');
  }
  if (r.namespaced && (at.namespace === undefined || at.namespace === '')) {
    throw new KubeError('invalid', attempt, `${r.plural} live in a namespace and none is given`);
  }
  return resourcePath(r, at);
}

function listQuery(options: ListOptions): URLSearchParams {
  const query = new URLSearchParams();
  const limit = options.limit ?? PAGE;
  if (limit > 0) {
    query.set('limit', String(limit));
  }
  for (const name of ['fieldSelector', 'labelSelector', 'resourceVersion'] as const) {
    const value = options[name];
    if (value !== undefined) {
      query.set(name, value);
    }
  }
  return query;
}

/** List items carry neither, and the server asks for both. */
function typed(r: Resource<KubeObject>, object: KubeObject): KubeObject {
  return { ...object, apiVersion: apiVersionOf(r), kind: r.kind };
}

function applied(r: Resource<KubeObject>, patch: object, name: string, namespace?: string): object {
  const metadata = (patch as { metadata?: object }).metadata;
  return {
    ...patch,
    apiVersion: apiVersionOf(r),
    kind: r.kind,
    metadata: { ...metadata, name, ...(namespace === undefined ? {} : { namespace }) },
  };
}
