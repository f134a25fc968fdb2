// SPDX-License-Identifier: Apache-2.0
// Events a second. No server writes as fast as a reader reads, so both read what has happened meanwhile: informers that
// were cut off before a burst of writes and go on after it, and a bare watch from the same revision on.
import type { KubeClient } from '../../src/kube/client.ts';
import type { KubeObject, Resource } from '../../src/kube/object.ts';
import type { WatchEvent, WatchOptions } from '../../src/kube/watch.ts';
import { type BenchRun, interleaved } from '../bench.ts';
import type { Contestants } from './contestants.ts';
import { recordInformer, synced } from './sync.ts';

export interface EventRates {
  /** Events a second, from the first to the last. */
  readonly ours: number[];
  readonly bare: number[];
}

/** A client whose watches end, and do not begin, while it is shut. */
class Gate {
  readonly #client: KubeClient;
  #shut = new AbortController();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  shut(): void {
    this.#shut.abort();
  }

  open(): void {
    this.#shut = new AbortController();
  }

  pages: KubeClient['pages'] = (...args) => this.#client.pages(...args);

  watch = <T extends KubeObject>(r: Resource<T>, options: WatchOptions): AsyncGenerator<WatchEvent<T>> => {
    const signals = [this.#shut.signal, ...(options.signal === undefined ? [] : [options.signal])];
    return this.#client.watch(r, { ...options, signal: AbortSignal.any(signals) });
  };
}

class CutOff {
  readonly #gate: Gate;
  readonly #informer: ReturnType<typeof recordInformer>;

  constructor(client: KubeClient) {
    this.#gate = new Gate(client);
    this.#informer = recordInformer({ client: this.#gate, backoff: { baseMs: 50, maxMs: 200 } });
  }

  /** Comes back when it knows all there is and hears no more. Answers the revision. */
  async begin(): Promise<string> {
    await synced(this.#informer);
    this.#gate.shut();
    return this.#informer.resourceVersion;
  }

  /** Milliseconds from the first to the last of `count` events. */
  async catchUp(count: number): Promise<number> {
    const done = Promise.withResolvers<number>();
    let [heard, firstMs] = [-this.#informer.size, 0];
    this.#informer.on(() => {
      heard += 1;
      if (heard === 1) firstMs = performance.now();
      if (heard === count) done.resolve(performance.now() - firstMs);
    });
    this.#gate.open();
    const ms = await done.promise;
    await this.end();
    return ms;
  }

  async end(): Promise<void> {
    await this.#informer.stop();
  }
}

/** `write` makes `count` objects; the informers know all there was before it, one for each round. */
export async function eventRates(
  contestants: Contestants,
  count: number,
  write: () => Promise<void>,
  run: BenchRun,
): Promise<EventRates> {
  const cutOffs = Array.from({ length: run.rounds }, () => new CutOff(contestants.client));
  try {
    return await race(contestants, cutOffs, count, write, run);
  } finally {
    // Whatever has stopped the run: an informer that goes on keeps the process.
    await Promise.all(cutOffs.map((cutOff) => cutOff.end()));
  }
}

async function race(
  contestants: Contestants,
  cutOffs: readonly CutOff[],
  count: number,
  write: () => Promise<void>,
  run: BenchRun,
): Promise<EventRates> {
  const revisions: string[] = [];
  for (const cutOff of cutOffs) revisions.push(await cutOff.begin());
  await write();
  const perSecond = (ms: number): number => (count * 1000) / ms;
  return await interleaved(
    {
      ours: async (round) => perSecond((await cutOffs[round]?.catchUp(count)) ?? Number.NaN),
      bare: async (round) => perSecond(await contestants.bare.watch(revisions[round] ?? '', count)),
    },
    run,
  );
}
