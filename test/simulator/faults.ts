// SPDX-License-Identifier: Apache-2.0
// What goes wrong. How much of it, each seed says for itself: some worlds are calm, some are not.
import type { Backup } from './api-server.ts';
import type { Cluster } from './cluster.ts';
import type { Message, Stream } from './network.ts';
import type { Random } from './random.ts';
import type { Process } from './time.ts';

/** Chances and weights of one seed. */
export interface Troubles {
  /** How often a while passes in which little happens, so that what takes minutes comes to pass. */
  readonly calm: number;
  /** Of each message: lost on the way, answered to nobody, late, doubled. */
  readonly lost: number;
  readonly unanswered: number;
  readonly late: number;
  readonly doubled: number;
  /** Of each event: that its watch falls behind instead. */
  readonly lag: number;
  /** How often anything of the following happens, against all that else goes on. */
  readonly mishap: number;
  readonly backups: number;
}

export function drawTroubles(random: Random): Troubles {
  const some = (most: number): number => (random.chance(0.5) ? random.next() * most : 0);
  return {
    calm: some(2),
    lost: some(0.05),
    unanswered: some(0.12),
    late: some(0.12),
    doubled: some(0.12),
    lag: some(0.15),
    mishap: 0.1 + some(2),
    backups: random.chance(0.3) ? 0.5 : 0,
  };
}

export class Faults {
  readonly #cluster: Cluster;
  readonly #troubles: Troubles;
  #backup: Backup | undefined;
  readonly #paused = new Set<Process>();

  constructor(cluster: Cluster, troubles: Troubles) {
    this.#cluster = cluster;
    this.#troubles = troubles;
  }

  /** Moves a message on, or not. */
  move(message: Message): void {
    const { random, network, time, trace } = this.#cluster;
    const { lost, unanswered, late, doubled } = this.#troubles;
    if (message.notBeforeMs === 0 && random.chance(late)) {
      message.notBeforeMs = time.nowMs + random.below(random.chance(0.2) ? 90_000 : 3_000);
      trace.say(`${message} is late`);
    } else if (random.chance(message.isAnswer ? unanswered : lost)) {
      trace.say(`${message} is lost`);
      network.drop(message);
      message.fail(random.pick(['unreachable', 'timeout', 'serverError']) ?? 'timeout', 'lost by the simulation');
    } else {
      if (!message.isAnswer && message.isWrite && random.chance(doubled)) {
        trace.say(`${message} will come twice`);
        const copy = message.copy();
        copy.notBeforeMs = time.nowMs + random.below(5_000);
        network.messages.push(copy);
      }
      this.#forward(message);
    }
  }

  /** Whether the watch falls behind instead of telling its next event. */
  delays(stream: Stream): boolean {
    const { random, time } = this.#cluster;
    if (!random.chance(this.#troubles.lag)) return false;
    stream.stalledUntilMs = time.nowMs + random.below(random.chance(0.2) ? 20_000 : 2_000);
    return true;
  }

  /** One mishap. */
  strike(): void {
    const { random } = this.#cluster;
    random.weighted<() => void>([
      [1.5, () => this.#killController()],
      [1, () => this.#killAgent()],
      [4, () => this.#armAgent()],
      [2, () => this.#pause()],
      [2, () => this.#breakStream()],
      [8, () => this.#stallStream()],
      [1, () => this.#cut()],
      [1, () => this.#forget()],
      [this.#troubles.backups, () => this.#backUp()],
    ])?.();
  }

  /** Whether somebody stands still or is cut off. */
  get hasWounds(): boolean {
    return this.#paused.size > 0 || this.#cluster.network.cut.size > 0;
  }

  heal(): void {
    if (this.#cluster.random.chance(0.5)) this.#resume();
    else this.#mend();
  }

  /** Nothing goes wrong any more, and what was wrong is right again. */
  end(): void {
    const { network, time } = this.#cluster;
    for (const process of this.#paused) time.resume(process);
    network.cut.clear();
    for (const stream of network.streams) stream.stalledUntilMs = 0;
    for (const message of network.messages) message.notBeforeMs = 0;
    for (const machine of this.#cluster.machines) machine.callsLeft = 0;
  }

  #forward(message: Message): void {
    const { trace, network } = this.#cluster;
    trace.say(`${message}`);
    forward(message, network);
  }

  #killController(): void {
    const seat = this.#cluster.random.pick(this.#cluster.seats);
    if (seat !== undefined) this.#cluster.killController(seat, 'it crashed');
  }

  #killAgent(): void {
    const machine = this.#cluster.random.pick(this.#cluster.machines);
    if (machine !== undefined) this.#cluster.killAgent(machine, 'it crashed');
  }

  /** The agent will die in the middle of its next work on the kernel. */
  #armAgent(): void {
    const { random, machines } = this.#cluster;
    const machine = random.pick(machines);
    if (machine !== undefined) machine.callsLeft = 1 + random.below(30);
  }

  #processes(): Process[] {
    const { seats, machines } = this.#cluster;
    return [...seats.map((seat) => seat.process), ...machines.map((machine) => machine.agentProcess)];
  }

  #pause(): void {
    const { random, trace } = this.#cluster;
    const process = random.pick(this.#processes().filter((each) => each.runs));
    if (process === undefined) return;
    trace.say(`${process.name} stands still`);
    process.isPaused = true;
    this.#paused.add(process);
  }

  #resume(): void {
    const { time, trace } = this.#cluster;
    for (const process of this.#paused) {
      trace.say(`${process.name} goes on`);
      time.resume(process);
    }
    this.#paused.clear();
  }

  #breakStream(): void {
    const { random, network, trace } = this.#cluster;
    const stream = random.pick(network.streams);
    if (stream === undefined) return;
    trace.say(`${stream.process.name}'s watch of ${stream.attempt.target} breaks`);
    network.break(stream);
  }

  #stallStream(): void {
    const { random, network, time, trace } = this.#cluster;
    const stream = random.pick(network.streams);
    if (stream === undefined) return;
    // Of two leaders one that lags undoes for so long what the other does.
    const longMs = this.#cluster.isForced ? 20_000 : 120_000;
    stream.stalledUntilMs = time.nowMs + random.below(random.chance(0.3) ? longMs : 10_000);
    trace.say(`${stream.process.name}'s watch of ${stream.attempt.target} lags`);
  }

  #cut(): void {
    const { random, network, trace, machines, seats } = this.#cluster;
    const ends = [...machines.map(({ name }) => name), ...seats.map(({ process }) => process.machine)];
    const machine = random.pick(ends);
    if (machine === undefined) return;
    trace.say(`${machine} is cut off`);
    network.cut.add(machine);
  }

  #mend(): void {
    const { network, trace } = this.#cluster;
    if (network.cut.size > 0) trace.say('the network is whole again');
    network.cut.clear();
  }

  #forget(): void {
    this.#cluster.trace.say('the API server forgets its history');
    this.#cluster.server.forgetHistory();
  }

  #backUp(): void {
    const { server, trace, network, judge } = this.#cluster;
    if (this.#backup === undefined) {
      trace.say('a backup is made');
      this.#backup = server.backup();
      return;
    }
    trace.say('the backup is brought back');
    server.restore(this.#backup);
    network.breakAll();
    judge.onRestore();
    this.#backup = undefined;
  }
}

/** A message goes one step on its way: to the server, or back. */
export function forward(message: Message, network: Cluster['network']): void {
  if (message.isAnswer) {
    network.drop(message);
    message.deliver();
  } else {
    message.arrive();
  }
}
