// SPDX-License-Identifier: Apache-2.0
// One seed: a world in trouble for so many steps, looked at after each of them, and then a quiet time at whose end all must
// be well. Everything follows from the seed, so that it can be played again.
import { Acts } from './acts.ts';
import { Cluster } from './cluster.ts';
import { drawTroubles, Faults, forward, type Troubles } from './faults.ts';
import type { Broken } from './judge.ts';
import type { Stream } from './network.ts';
import { Random } from './random.ts';
import { unsettled } from './settled.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly steps: number;
  /** Reads along. */
  readonly print?: ((line: string) => void) | undefined;
}

export interface Verdict {
  readonly seed: number;
  /** Taken in all, those of the quiet time not counted. */
  readonly steps: number;
  /** Virtual milliseconds. */
  readonly lastedMs: number;
  readonly broken: Broken | undefined;
  /** The last that was heard of what is broken. */
  readonly story: readonly string[];
  /** Of all that happened. */
  readonly digest: string;
}

/** How long the quiet time may last: a round of the collector, its second look, a fence, and then some. */
const quietLimitMs = 480_000;
/** After a backup a watch may lie until the next full list, and only then does the collector see what it has to. */
const restoredLimitMs = 1_500_000;
const lookEveryMs = 5_000;
/** By then somebody leads and each node has its endpoint. */
const warmUpMs = 6_000;
/** More moves at one moment than anything has: something runs in a circle. */
const mostMoves = 200_000;
const storyLines = 60;
/** In one step. */
const mostArrivals = 8;
/** What is under way takes its time, or two who undo each other's work would do so for ever at one moment. */
const roundTripMs = 5;

export class Simulation {
  readonly #steps: number;
  readonly #seed: number;
  readonly #random: Random;
  readonly #cluster: Cluster;
  readonly #acts: Acts;
  readonly #faults: Faults;
  readonly #troubles: Troubles;

  constructor({ seed, steps, print }: SimulationOptions) {
    this.#seed = seed;
    this.#steps = steps;
    this.#random = new Random(seed);
    const random = this.#random;
    const nodes = random.pick([1, 2, 2, 3]) ?? 1;
    const isForced = random.chance(0.25);
    const isPlain = random.chance(0.5);
    this.#troubles = drawTroubles(random);
    this.#cluster = new Cluster({ random, nodes, isForced, isPlain, print });
    this.#acts = new Acts(this.#cluster);
    this.#faults = new Faults(this.#cluster, this.#troubles);
  }

  async run(): Promise<Verdict> {
    const { judge, time, trace } = this.#cluster;
    // A cluster that is up: how it comes up is no less a story, but the same in each seed.
    await this.#pass(this.#random.chance(0.8) ? warmUpMs : 0);
    let steps = 0;
    while (steps < this.#steps && judge.broken === undefined) {
      steps += 1;
      await this.#step();
      await turn();
      judge.look();
    }
    if (judge.broken === undefined) await this.#quiet();
    const { broken } = judge;
    return {
      seed: this.#seed,
      steps,
      lastedMs: time.nowMs,
      broken,
      story: broken === undefined ? [] : trace.about(broken.things, storyLines),
      digest: trace.digest(),
    };
  }

  async #step(): Promise<void> {
    const { random, network, time } = this.#cluster;
    const { calm, mishap } = this.#troubles;
    const isBusy = network.movable().length + network.readable().length > 0;
    // What is under way mostly comes before what is seconds off.
    const hurry = (time.nextMs() ?? 0) > time.nowMs + 1_000 ? 0.5 : 5;
    const deed = random.weighted<() => void | Promise<void>>([
      [isBusy ? 60 : 0, () => this.#traffic()],
      [isBusy ? hurry : 10, () => this.#tick()],
      [8, () => this.#acts.act()],
      [20, () => this.#kubelet()],
      [calm, () => this.#calm()],
      [this.#faults.hasWounds ? 0.7 : 0, () => this.#faults.heal()],
      [mishap, () => this.#faults.strike()],
    ]);
    await deed?.();
  }

  /** A few things arrive, of all that is under way, in any order. */
  async #traffic(): Promise<void> {
    const { random, network, judge } = this.#cluster;
    for (let left = random.below(mostArrivals); left >= 0 && judge.broken === undefined; left -= 1) {
      const movable = network.movable();
      const readable = network.readable();
      const at = random.below(movable.length + readable.length);
      const [message, stream] = [movable[at], readable[at - movable.length]];
      if (message !== undefined) this.#faults.move(message);
      else if (stream !== undefined && !this.#faults.delays(stream)) this.#hear(stream);
      await turn();
      judge.look();
    }
  }

  /** A while in which no world moves and nothing else goes wrong. What lags goes on lagging. */
  async #calm(): Promise<void> {
    await this.#flowFor(1_000 + this.#random.below(60_000));
  }

  #hear(stream: Stream): void {
    const { trace } = this.#cluster;
    const event = stream.deliver();
    if (event === undefined) return;
    const { name = '', resourceVersion = '' } = event.object.metadata;
    trace.say(`${stream.process.name} hears of ${stream.attempt.target} ${name} ${event.type} ${resourceVersion}`);
  }

  #tick(): void {
    const { time, trace } = this.#cluster;
    const whose = time.step();
    if (whose !== undefined) trace.say(`a timer of ${whose}`);
  }

  #kubelet(): void {
    const { random, machines, kubelets } = this.#cluster;
    const machine = random.pick(machines);
    if (machine !== undefined) kubelets.get(machine)?.act();
  }

  /** Until all is well, or for too long. */
  async #quiet(): Promise<void> {
    const { time, judge, trace } = this.#cluster;
    trace.say('all goes well from here on');
    this.#faults.end();
    this.#acts.mendNodes();
    this.#cluster.endForce();
    const endMs = time.nowMs + (judge.hasRestored ? restoredLimitMs : quietLimitMs);
    let left: Broken[] = [];
    while (time.nowMs < endMs && judge.broken === undefined) {
      await this.#pass(lookEveryMs);
      left = unsettled(this.#cluster);
      if (left.length === 0) return;
    }
    const [first] = left;
    if (first !== undefined) judge.break(first.invariant, `in the end ${first.text}`, first.things);
  }

  /** Time passes, and everybody does his work. */
  async #pass(ms: number): Promise<void> {
    this.#acts.controlSets();
    this.#acts.scheduler.tidy();
    this.#acts.mendRobbed();
    this.#cluster.nodeLifecycle.look();
    for (const kubelet of this.#cluster.kubelets.values()) kubelet.tidy();
    await turn();
    await this.#flowFor(ms);
  }

  /** Time passes, and whatever is under way arrives. */
  async #flowFor(ms: number): Promise<void> {
    const { time, judge } = this.#cluster;
    const untilMs = time.nowMs + ms;
    for (let moves = 0; judge.broken === undefined; moves += 1) {
      if (moves > mostMoves) {
        judge.break(9, 'nothing comes to rest', []);
        return;
      }
      const isFlowing = this.#flow();
      if (isFlowing) time.nowMs += roundTripMs;
      // Timers fall due while messages flow, too: who waits in silence gives up at last.
      const nextMs = time.nextMs();
      if (nextMs !== undefined && nextMs <= (isFlowing ? time.nowMs : untilMs)) this.#tick();
      else if (!isFlowing) break;
      if (time.nowMs > untilMs) break;
      await turn();
      judge.look();
    }
    time.nowMs = Math.max(time.nowMs, untilMs);
  }

  /** All that is under way goes on; answers whether anything was. */
  #flow(): boolean {
    const { network } = this.#cluster;
    const movable = network.movable();
    const readable = network.readable();
    for (const message of movable) {
      this.#cluster.trace.say(`${message}`);
      forward(message, network);
    }
    for (const stream of readable) this.#hear(stream);
    return movable.length + readable.length > 0;
  }
}

/** Lets all that can go on without a timer or a message go on. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
