// SPDX-License-Identifier: Apache-2.0
// Fast's API client on the server in memory. Between the two is a network, which decides when a call arrives, when its
// answer does, and whether.
import type {
  CallOptions,
  DeleteOptions,
  KubeClient,
  ListOptions,
  ObjectList,
  PatchOptions,
} from '../../src/kube/client.ts';
import { type Attempt, isReason, KubeError } from '../../src/kube/errors.ts';
import { type KubeObject, keyOf, type Resource } from '../../src/kube/object.ts';
import type { WatchEvent, WatchOptions } from '../../src/kube/watch.ts';
import type { ApiServer } from './api-server.ts';
import type { WatchCursor } from './history.ts';
import type { Caller } from './rights.ts';

/** What Fast's programs use of their client. */
export type ApiVerbs = Pick<
  KubeClient,
  'get' | 'find' | 'list' | 'pages' | 'create' | 'replace' | 'replaceStatus' | 'patch' | 'delete' | 'watch'
>;

export interface Network {
  /** Has `run` done at the server, and answers what it answers. */
  call<T>(attempt: Attempt, run: () => T, options: CallOptions): Promise<T>;
  /** Events as they arrive, until the server or the network ends the watch. */
  stream(attempt: Attempt, open: () => WatchCursor, options: WatchOptions): AsyncGenerator<WatchEvent<KubeObject>>;
}

export class MemoryClient implements ApiVerbs {
  readonly #server: ApiServer;
  readonly #network: Network;
  readonly #caller: Caller;

  constructor(server: ApiServer, network: Network, caller: Caller) {
    this.#server = server;
    this.#network = network;
    this.#caller = caller;
  }

  get<T extends KubeObject>(r: Resource<T>, name: string, namespace?: string, call: CallOptions = {}): Promise<T> {
    return this.#network.call(attemptOf('get', r, name, namespace), () => this.#server.get(r, name, namespace), call);
  }

  async find<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    namespace?: string,
    call?: CallOptions,
  ): Promise<T | undefined> {
    try {
      return await this.get(r, name, namespace, call);
    } catch (error) {
      if (isReason(error, 'notFound')) return undefined;
      throw error;
    }
  }

  list<T extends KubeObject>(
    r: Resource<T>,
    options: ListOptions = {},
    call: CallOptions = {},
  ): Promise<ObjectList<T>> {
    return this.#network.call(attemptOf('list', r), () => this.#server.list(r, options), call);
  }

  async *pages<T extends KubeObject>(
    r: Resource<T>,
    options: ListOptions = {},
    call: CallOptions = {},
  ): AsyncGenerator<ObjectList<T>, void, undefined> {
    yield await this.list(r, options, call);
  }

  create<T extends KubeObject>(r: Resource<T>, object: T, call: CallOptions = {}): Promise<T> {
    const { name, namespace } = object.metadata;
    return this.#network.call(
      attemptOf('create', r, name, namespace),
      () => this.#server.create(r, object, this.#caller),
      call,
    );
  }

  replace<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    return this.#put(r, object, undefined, call);
  }

  replaceStatus<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    return this.#put(r, object, 'status', call);
  }

  patch<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    patch: object,
    options: PatchOptions,
    call: CallOptions = {},
  ): Promise<T> {
    if (options.type !== 'merge') throw new Error('the API server in memory knows no server-side apply');
    const { namespace, subresource } = options;
    const run = (): T => this.#server.patch(r, { name, namespace, subresource }, patch, this.#caller);
    return this.#network.call(attemptOf('patch', r, name, namespace), run, call);
  }

  delete<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    options: DeleteOptions = {},
    call: CallOptions = {},
  ): Promise<void> {
    const run = (): void => this.#server.delete(r, name, options, this.#caller);
    return this.#network.call(attemptOf('delete', r, name, options.namespace), run, call);
  }

  watch<T extends KubeObject>(r: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> {
    const attempt = attemptOf('watch', r);
    const { resourceVersion } = options;
    const open = (): WatchCursor => {
      if (resourceVersion === undefined)
        throw new KubeError('invalid', attempt, 'sendInitialEvents is not served here');
      return this.#server.watch(r, options, resourceVersion);
    };
    return this.#network.stream(attempt, open, options) as AsyncGenerator<WatchEvent<T>>;
  }

  async #put<T extends KubeObject>(
    r: Resource<T>,
    object: T,
    subresource?: 'status',
    call: CallOptions = {},
  ): Promise<T> {
    const { name, namespace, resourceVersion } = object.metadata;
    const attempt = attemptOf(subresource === undefined ? 'replace' : 'replace status of', r, name, namespace);
    if (resourceVersion === undefined || resourceVersion === '') {
      throw new KubeError('invalid', attempt, 'metadata.resourceVersion is absent');
    }
    return await this.#network.call(attempt, () => this.#server.replace(r, object, this.#caller, subresource), call);
  }
}

function attemptOf(verb: string, r: Resource<KubeObject>, name = '', namespace?: string): Attempt {
  const key = keyOf(name, namespace);
  return { verb, target: key === '' ? r.plural : `${r.plural} ${key}` };
}
