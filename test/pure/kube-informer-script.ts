// SPDX-License-Identifier: Apache-2.0
// An API server that says what a test tells it to say, for what a real one cannot be brought to do in a second.
import type { ObjectList } from '../../src/kube/client.ts';
import type { FakeClock } from '../../src/kube/clock.ts';
import { KubeError } from '../../src/kube/errors.ts';
import { Informer, type InformerOptions } from '../../src/kube/informer.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import { type ConfigMap, configMaps } from '../../src/kube/resources.ts';
import type { WatchEvent, WatchOptions } from '../../src/kube/watch.ts';

export function object(
  name: string,
  resourceVersion: string,
  more: { uid?: string; data?: Record<string, string> } = {},
) {
  const { uid = `uid-of-${name}`, data = {} } = more;
  return { metadata: { name, uid, resourceVersion }, data };
}

export const failure = (reason: KubeError['reason'], retryAfterMs?: number): KubeError =>
  new KubeError(reason, { verb: 'watch', target: 'configmaps' }, 'planned', { retryAfterMs });

export type Said = WatchEvent<ConfigMap>;

const copy = (one: ConfigMap): ConfigMap => structuredClone(one);

export class Script {
  items: ConfigMap[] = [];
  resourceVersion = '1';
  /** Whether it streams lists or refuses to. */
  streams: boolean;
  pageSize = 2;
  /** Lists that were begun, by either way. */
  lists = 0;
  /** When requests of any kind came, on `clock`. */
  readonly requestedAtMs: number[] = [];
  /** Revisions from which a watch was opened; 'list' for one that began with a list. */
  readonly watchedFrom: string[] = [];
  listError: Error | undefined;
  watchError: Error | undefined;
  /** The server ends each watch at once, and calls that success. */
  watchEnds = false;
  /** Ends each watch after the seconds that it was asked for, with a bookmark each minute before. */
  clock: FakeClock | undefined;
  /** What is said in the middle of a streamed list, after its first object. */
  amid: Said[] = [];
  /** Leaves out the bookmark at the end of a streamed list. */
  forgetsEnd = false;
  /** Runs when the server has taken a list's snapshot. */
  onList: () => void = () => undefined;
  /** Runs before each page but the first. */
  betweenPages: () => void | Promise<void> = () => undefined;
  /** Watches that are open at the server. */
  open = 0;
  #say: ((event: Said | 'end' | KubeError) => void) | undefined;

  constructor(streams: boolean) {
    this.streams = streams;
  }

  async *pages<T extends KubeObject>(_r: Resource<T>, { limit }: { limit?: number } = {}) {
    this.lists += 1;
    const [items, { resourceVersion }] = [this.items.map(copy), this];
    this.onList();
    const size = limit === 0 ? Math.max(items.length, 1) : (limit ?? this.pageSize);
    for (let from = 0; from === 0 || from < items.length; from += size) {
      this.requestedAtMs.push(this.clock?.monotonicMs() ?? 0);
      if (from > 0) await this.betweenPages();
      if (this.listError !== undefined) throw this.listError;
      yield { items: items.slice(from, from + size), resourceVersion } as unknown as ObjectList<T>;
    }
  }

  watch = <T extends KubeObject>(_r: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> =>
    this.#stream(options) as unknown as AsyncGenerator<WatchEvent<T>>;

  say(type: Said['type'], said: ConfigMap): void {
    this.#say?.({ type, object: said });
  }

  /** The server ends the watch, politely. */
  endWatch(): void {
    this.#say?.('end');
  }

  /** The watch breaks, or is taken for dead. */
  breakWatch(reason: KubeError['reason']): void {
    this.#say?.(failure(reason));
  }

  async *#stream({ resourceVersion, signal, timeoutSeconds, onOpen }: WatchOptions): AsyncGenerator<Said> {
    this.requestedAtMs.push(this.clock?.monotonicMs() ?? 0);
    if (resourceVersion === undefined) {
      if (!this.streams) throw failure('invalid');
      this.lists += 1;
      if (this.listError !== undefined) throw this.listError;
    }
    this.watchedFrom.push(resourceVersion ?? 'list');
    if (resourceVersion !== undefined && this.watchError !== undefined) throw this.watchError;
    const queue: (Said | 'end' | KubeError)[] = resourceVersion === undefined ? this.#initial() : [];
    if (resourceVersion === undefined) this.onList();
    let wake: () => void = () => undefined;
    this.#say = (event) => {
      queue.push(event);
      wake();
    };
    onOpen?.();
    this.open += 1;
    const cancels = this.#play(timeoutSeconds, (event) => this.#say?.(event));
    signal?.addEventListener('abort', () => wake());
    try {
      for (;;) {
        if (signal?.aborted) {
          throw signal.reason instanceof KubeError ? signal.reason : failure('aborted');
        }
        const event = queue.shift();
        if (event === 'end') return;
        if (event instanceof KubeError) throw event;
        if (event !== undefined) yield event;
        else if (resourceVersion === undefined && this.watchError !== undefined) throw this.watchError;
        else if (this.watchEnds) return;
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    } finally {
      this.open -= 1;
      for (const cancel of cancels) cancel();
    }
  }

  #initial(): (Said | 'end')[] {
    const { resourceVersion } = this;
    const added = this.items.map((one): Said => ({ type: 'ADDED', object: copy(one) }));
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    const end: Said = { type: 'BOOKMARK', object: { metadata: { resourceVersion, annotations } } };
    return [...added.slice(0, 1), ...this.amid, ...added.slice(1), ...(this.forgetsEnd ? [] : [end])];
  }

  #play(timeoutSeconds: number, say: (event: Said | 'end') => void): (() => void)[] {
    const { clock } = this;
    if (clock === undefined) return [];
    const bookmark = (): void => say({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '1' } } });
    const minutes = Array.from({ length: Math.floor(timeoutSeconds / 60) }, (_, minute) => minute + 1);
    const bookmarks = minutes.map((minute) => clock.after(minute * 60_000, bookmark));
    return [...bookmarks, clock.after(timeoutSeconds * 1000, () => say('end'))];
  }
}

export function start(script: Script, clock: FakeClock, more: Partial<InformerOptions<ConfigMap>> = {}) {
  const informer = new Informer({ client: script, resource: configMaps, clock, random: () => 0.5, ...more });
  const told: string[] = [];
  informer.on(({ type, object: about }) => told.push(`${type} ${about.metadata.name}`));
  informer.start();
  return { informer, told };
}
