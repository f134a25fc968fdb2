// SPDX-License-Identifier: Apache-2.0
// The API server as a leader may use it: for as long as it leads, and not one write longer.
import type { CallOptions, DeleteOptions, KubeClient, PatchOptions } from '../kube/client.ts';
import type { KubeObject, Resource } from '../kube/object.ts';

/** The verbs of the parts that only a leader runs. */
export type LeaderVerbs = Pick<KubeClient, 'find' | 'create' | 'replace' | 'replaceStatus' | 'patch' | 'delete'>;

export interface Tenure {
  /** Aborts when the leadership ends: what is under way is cut off. */
  readonly signal: AbortSignal;
  /**
   * Asks the clock. A process that was paused (SIGSTOP, a frozen machine, a long garbage collection) wakes up with its
   * timers late: until the one runs that aborts `signal`, other callbacks may write.
   */
  isLeading(): boolean;
}

/**
 * Every write, and every try of one that the API server put off, is preceded by a look at the clock, without any wait in
 * between. What remains is a pause in these few
 * instructions, or a request that is slow on the wire: those the API server refuses, since each write is fenced by what
 * was read before it (a resourceVersion, or a name that one create takes).
 */
export class TenureClient implements LeaderVerbs {
  readonly #client: LeaderVerbs;
  readonly #tenure: Tenure;

  constructor(client: LeaderVerbs, tenure: Tenure) {
    this.#client = client;
    this.#tenure = tenure;
  }

  /** Reading harms nobody. */
  find<T extends KubeObject>(r: Resource<T>, name: string, namespace?: string, call?: CallOptions) {
    return this.#client.find(r, name, namespace, this.#bound(call));
  }

  async create<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    this.#throwIfOver();
    return this.#client.create(r, object, this.#fenced(call));
  }

  async replace<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    this.#throwIfOver();
    return this.#client.replace(r, object, this.#fenced(call));
  }

  async replaceStatus<T extends KubeObject>(r: Resource<T>, object: T, call?: CallOptions): Promise<T> {
    this.#throwIfOver();
    return this.#client.replaceStatus(r, object, this.#fenced(call));
  }

  async patch<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    patch: object,
    options: PatchOptions,
    call?: CallOptions,
  ): Promise<T> {
    this.#throwIfOver();
    return this.#client.patch(r, name, patch, options, this.#fenced(call));
  }

  async delete<T extends KubeObject>(
    r: Resource<T>,
    name: string,
    options?: DeleteOptions,
    call?: CallOptions,
  ): Promise<void> {
    this.#throwIfOver();
    return this.#client.delete(r, name, options, this.#fenced(call));
  }

  #throwIfOver(): void {
    this.#tenure.signal.throwIfAborted();
    if (!this.#tenure.isLeading()) {
      throw new Error('no longer leading: the lease was not renewed in time, and nothing is written without it');
    }
  }

  #fenced(call?: CallOptions): CallOptions {
    return { ...this.#bound(call), mayProceed: () => this.#tenure.isLeading() };
  }

  #bound(call?: CallOptions): CallOptions {
    const { signal } = this.#tenure;
    const isOurs = call?.signal === undefined || call.signal === signal;
    return { ...call, signal: isOurs ? signal : AbortSignal.any([signal, call.signal]) };
  }
}
