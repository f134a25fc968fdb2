// SPDX-License-Identifier: Apache-2.0
// The whole of a simulated cluster: API server, network, machines with their kubelets, controllers and agents, and how
// each of them dies and comes back.
import { installNamespace, nodePool } from '../../src/api/names.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { Node } from '../../src/api/workloads.ts';
import { type Log, silentLog } from '../../src/kube/log.ts';
import { serviceCidrs } from '../../src/kube/resources.ts';
import { namespaceKind, nodeKind, poolKind } from '../../src/operator/kinds.ts';
import { timestamp } from '../../src/reconcilers/allocation.ts';
import { SimulatedAgent } from './agent.ts';
import { ApiServer } from './api-server.ts';
import { SimulatedController } from './controller.ts';
import { Judge } from './judge.ts';
import { mounted } from './kernel.ts';
import { Kubelet } from './kubelet.ts';
import { Machine } from './machine.ts';
import { MemoryClient, type Network } from './memory-client.ts';
import { SimulatedNetwork } from './network.ts';
import { NodeLifecycle } from './node-lifecycle.ts';
import type { Random } from './random.ts';
import { seenNow } from './sent.ts';
import { Process, ProcessClock, VirtualTime } from './time.ts';
import { Trace } from './trace.ts';
import { faultLog, nameOfCaller, printedLog, wordsOfWrite } from './words.ts';

export const admin = { is: 'admin' } as const;

/** How long a pool may keep an address for a StatefulSet's ordinal. */
export const reservedSeconds = [0, 0, 30, 90, 600];

/** A place for one controller: each of its processes ends some time, and another follows. */
export interface Seat {
  readonly name: string;
  process: Process;
  controller: SimulatedController | undefined;
  starts: number;
}

export interface ClusterOptions {
  readonly random: Random;
  readonly nodes: number;
  /** All controllers lead at once. */
  readonly isForced: boolean;
  /** Without gates, annotations of namespaces and Services: what is rare without them would be rarer among them. */
  readonly isPlain: boolean;
  readonly print?: ((line: string) => void) | undefined;
}

export class Cluster {
  readonly random: Random;
  readonly time = new VirtualTime();
  readonly trace: Trace;
  readonly network = new SimulatedNetwork(this.time);
  readonly machines: Machine[] = [];
  readonly kubelets = new Map<Machine, Kubelet>();
  readonly seats: Seat[] = [];
  readonly judge = new Judge(this.machines, () => this.time.nowMs);
  readonly server: ApiServer;
  readonly nodeLifecycle: NodeLifecycle;
  /** What never dies: the rest of the world. */
  readonly world = new Process('world', 'world');
  isForced: boolean;
  readonly isPlain: boolean;
  readonly #log: Log;

  constructor({ random, nodes, isForced, isPlain, print }: ClusterOptions) {
    mounted.clear();
    this.random = random;
    this.isForced = isForced;
    this.isPlain = isPlain;
    this.trace = new Trace(() => this.time.nowMs, print);
    const log = print === undefined ? silentLog : printedLog(print, {});
    this.#log = faultLog(log, (error) => this.judge.break(9, `a program fails: ${error.stack}`, []));
    const clock = new ProcessClock(this.time, this.world);
    this.server = new ApiServer(
      () => clock.now(),
      (kind, caller, old, now) => {
        this.trace.say(wordsOfWrite(kind.plural, nameOfCaller(caller), old, now));
        this.judge.onWrite(kind, caller, old, now);
      },
    );
    this.judge.watch(this.server);
    this.judge.oneLeads = !isForced;
    this.nodeLifecycle = new NodeLifecycle({
      server: this.server,
      machines: this.machines,
      cut: this.network.cut,
      random,
      now: () => timestamp(clock.now()),
    });
    this.#furnish();
    for (let index = 0; index < nodes; index += 1) this.#addMachine(index);
    for (const name of ['c1', 'c2']) this.#addSeat(name);
  }

  startController(seat: Seat): void {
    seat.starts += 1;
    const name = `${seat.name}.${seat.starts}`;
    const process = new Process(name, `machine of ${seat.name}`);
    seat.process = process;
    this.judge.services.onStart(name);
    const client = new MemoryClient(this.server, this.#networkOf(process, seat), { is: 'controller', name });
    const controller = new SimulatedController({
      identity: name,
      client,
      clock: new ProcessClock(this.time, process),
      random: this.random.next,
      log: this.#log.child({ of: name }),
      isForced: this.isForced,
      onEvent: ({ reason, note }) => this.trace.say(`${name} tells: ${reason}: ${note}`),
      onEnd: () => this.killController(seat, 'it lost the lead'),
    });
    seat.controller = controller;
    this.trace.say(`${name} starts`);
    controller.start();
  }

  killController(seat: Seat, because: string): void {
    if (!seat.process.isAlive) return;
    this.trace.say(`${seat.process.name} ends: ${because}`);
    seat.process.isAlive = false;
    seat.controller = undefined;
    this.network.bury();
    const delayMs = 500 + this.random.below(20_000);
    this.time.after(delayMs, this.world, () => this.startController(seat));
  }

  /** One leads from now on, as the Lease says. */
  endForce(): void {
    if (!this.isForced) return;
    this.isForced = false;
    for (const seat of this.seats) this.killController(seat, 'there shall be one leader');
  }

  startAgent(machine: Machine): void {
    if (!machine.isOn || machine.agentProcess.isAlive) return;
    const process = new Process(`agent of ${machine.name}`, machine.name);
    machine.agentProcess = process;
    machine.callsLeft = 0;
    const client = new MemoryClient(this.server, this.network.of(process), { is: 'agent', node: machine.name });
    machine.agent = new SimulatedAgent({
      node: machine.name,
      ...machine.asHost(),
      client,
      clock: new ProcessClock(this.time, process),
      random: this.random.next,
      log: this.#log.child({ of: process.name }),
    });
    this.trace.say(`${process.name} starts`);
    void machine.agent.start();
  }

  killAgent(machine: Machine, because: string): void {
    if (!machine.agentProcess.isAlive) return;
    this.trace.say(`${machine.agentProcess.name} ends: ${because}`);
    machine.agentProcess.isAlive = false;
    machine.agent = undefined;
    this.network.bury();
    this.kubelets.get(machine)?.disconnected();
    this.time.after(200 + this.random.below(15_000), this.world, () => this.startAgent(machine));
  }

  powerOff(machine: Machine): void {
    this.trace.say(`${machine.name} loses its power`);
    machine.powerOff();
    this.network.bury();
  }

  powerOn(machine: Machine): void {
    this.trace.say(`${machine.name} has power again`);
    machine.powerOn();
    this.startAgent(machine);
  }

  /** A kubelet registers its node. */
  register(machine: Machine): void {
    const node: Node = this.server.create(nodeKind, { metadata: { name: machine.name } }, admin);
    const status = { addresses: [{ type: 'InternalIP', address: machine.address }] };
    this.server.replace(nodeKind, { ...node, status }, admin, 'status');
  }

  /** What a write of a record was decided on is noted when it is sent. */
  #networkOf(process: Process, seat: Seat): Network {
    const inner = this.network.of(process);
    return {
      ...inner,
      call: (attempt, run, options) => {
        const [plural, address = ''] = attempt.target.split(' ');
        const { controller } = seat;
        const { verb } = attempt;
        if (['create', 'replace', 'delete'].includes(verb) && plural === 'ipallocations' && controller !== undefined) {
          this.judge.sent.note(process.name, verb, address, controller.informers.views, controller.core.book);
        }
        if (verb === 'patch' && plural === 'pods' && controller !== undefined) {
          const seen = seenNow(this.time.nowMs, verb, controller.informers.views, controller.core.book);
          this.judge.gates.note(process.name, address, seen);
        }
        return inner.call(attempt, run, options);
      },
    };
  }

  #furnish(): void {
    for (const name of ['default', 'other', installNamespace]) {
      this.server.create(namespaceKind, { metadata: { name } }, admin);
    }
    this.addPool(nodePool, ['10.9.0.0/27'], { usage: 'Node' });
    const reserved = (): Partial<Ips['spec']> => ({ reservedSeconds: this.random.pick(reservedSeconds) ?? 0 });
    this.addPool('sample-ips', ['10.1.0.0-10.1.0.4'], reserved());
    this.addPool('default-ips', ['10.2.0.0/29'], { excludeIPs: ['10.2.0.2'], ...reserved() });
    if (this.isPlain) return;
    this.addServices('kubernetes', ['10.3.0.4/30']);
    this.addPool('over-ips', ['10.3.0.0/29'], reserved());
  }

  addPool(name: string, ips: string[], more: Partial<Ips['spec']> = {}): void {
    const spec = { subnet: '10.244.0.1/32', ips, coolDownSeconds: 10, ...more };
    this.server.create(poolKind, { metadata: { name }, spec }, admin);
  }

  /** Addresses of the pool over-ips that Services get. */
  addServices(name: string, cidrs: string[]): void {
    this.server.create(serviceCidrs, { metadata: { name }, spec: { cidrs } }, admin);
  }

  #addMachine(index: number): void {
    const name = `n${index + 1}`;
    const kill = (machine: Machine): void => this.killAgent(machine, 'in the middle of its work on the kernel');
    const machine = new Machine(name, `192.168.0.${index + 1}`, this.time, kill);
    this.machines.push(machine);
    const { server, random, trace } = this;
    const isOnline = (): boolean => !this.network.cut.has(name);
    const onAdded = this.judge.onAdded.bind(this.judge, machine);
    const hasLost = this.judge.hasLost.bind(this.judge);
    this.kubelets.set(machine, new Kubelet({ machine, server, random, trace, isOnline, onAdded, hasLost }));
    this.register(machine);
    this.startAgent(machine);
  }

  #addSeat(name: string): void {
    const none = new Process(name, name);
    none.isAlive = false;
    const seat = { name, process: none, controller: undefined, starts: 0 };
    this.seats.push(seat);
    this.startController(seat);
  }
}
