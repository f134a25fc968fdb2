// SPDX-License-Identifier: Apache-2.0
// Pods that come and go at a steady rate on nodes at random, which is the hardest for whoever merges changes of a node:
// a rollout that changes ten pods of one node at once costs less.
import type { HollowBench } from '../hollow/hollow-bench.ts';

export class Churn {
  readonly #bench: HollowBench;
  readonly #pool: string;
  readonly #pods: string[];
  readonly #random: () => number;
  #timer: NodeJS.Timeout | undefined;
  #made = 0;
  #isNextACreate = true;
  #failure: unknown;

  /** `pods` are there already. */
  constructor(bench: HollowBench, pool: string, pods: readonly string[], seed: number) {
    this.#bench = bench;
    this.#pool = pool;
    this.#pods = [...pods];
    this.#random = randomOf(seed);
  }

  start(changesPerSecond: number): void {
    const startMs = performance.now();
    let changes = 0;
    this.#timer = setInterval(() => {
      // By the clock and not by the ticks: a late tick makes up for those that it delayed.
      const due = Math.floor(((performance.now() - startMs) / 1000) * changesPerSecond);
      for (; changes < due; changes += 1) this.#change().catch((error: unknown) => (this.#failure ??= error));
    }, 10);
  }

  /** @throws the first error of a change */
  stop(): void {
    clearInterval(this.#timer);
    if (this.#failure !== undefined) throw this.#failure;
  }

  async #change(): Promise<void> {
    const isCreate = this.#isNextACreate;
    this.#isNextACreate = !isCreate;
    const { nodes } = this.#bench;
    if (isCreate) {
      this.#made += 1;
      const name = `churn-${this.#made}`;
      await this.#bench.cluster.addPod(name, nodes[this.#below(nodes.length)], this.#pool);
      this.#pods.push(name);
      return;
    }
    const at = this.#below(this.#pods.length);
    const [gone] = this.#pods.splice(at, 1, this.#pods.at(-1) ?? '');
    this.#pods.pop();
    if (gone !== undefined) await this.#bench.cluster.removePod(gone);
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }
}

/** mulberry32: the same pods in each run. */
function randomOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
