// SPDX-License-Identifier: Apache-2.0
// A machine of the cluster: a kernel that outlives every agent, an agent that may die between any two of the kernel's
// calls, and the sandboxes of its pods.
import type { Host } from '../../src/node/host.ts';
import type { Datapath } from '../../src/node/programs.ts';
import { decodeLocalPod } from '../../src/datapath/codecs.ts';
import { parseAlias } from '../../src/wiring/wire.ts';
import type { SimulatedAgent } from './agent.ts';
import { Netns, RouteSocket } from './ebpf-native.ts';
import { ModelMap, mounted, ProcessDied, Space } from './kernel.ts';
import { Process, type VirtualTime } from './time.ts';

/** What the kernel's grace period for a veth's removal comes to. */
const graceMs = 20;

/** No pod of the simulation has a bandwidth limit. */
const noPins = '/proc/fast/wires';

export interface SandboxPod {
  readonly namespace: string;
  readonly name: string;
  /** The identity that the runtime knows it by. */
  readonly identity: string;
}

/** `down`: its containers have ended, or never began. */
export type SandboxState = 'adding' | 'up' | 'down';

export interface Sandbox {
  readonly id: string;
  readonly pod: SandboxPod;
  readonly path: string;
  readonly space: Space;
  state: SandboxState;
  /** What ADD answered. */
  address: string;
  /** Aborts when the runtime gives up waiting for ADD. */
  readonly gone: AbortController;
  isMounted: boolean;
  /** Whether a DEL for it is still to come. */
  needsDel: boolean;
}

/** A wire as the map of this machine leads to it. */
export interface Entry {
  readonly address: string;
  readonly identity: string;
  readonly containerId: string;
}

/** A file that says of a static pod that it shall run. */
export interface PodFile {
  readonly name: string;
  readonly pool: string | undefined;
  /** Of its contents and its machine, as a kubelet makes it. */
  readonly identity: string;
}

export class Machine {
  readonly name: string;
  /** Its end of the tunnel. */
  readonly address: string;
  readonly sandboxes = new Map<string, Sandbox>();
  /** On its disk. */
  file: PodFile | undefined;
  host = new Space();
  localPods = new ModelMap(this.host);
  clusterPods = new ModelMap(this.host);
  agent: SimulatedAgent | undefined;
  agentProcess: Process;
  /** The agent dies in that many calls of the kernel; 0 for no such fate. */
  callsLeft = 0;
  isOn = true;
  readonly #time: VirtualTime;
  readonly #kill: (machine: Machine) => void;
  #kernel: Process;
  #sandboxCount = 0;

  constructor(name: string, address: string, time: VirtualTime, kill: (machine: Machine) => void) {
    this.name = name;
    this.address = address;
    this.#time = time;
    this.#kill = kill;
    this.#kernel = new Process(`kernel of ${name}`, name);
    this.agentProcess = new Process(`agent of ${name}`, name);
    this.agentProcess.isAlive = false;
    this.#boot();
  }

  /** All that was in memory is gone. */
  powerOff(): void {
    this.isOn = false;
    this.#kernel.isAlive = false;
    this.agentProcess.isAlive = false;
    this.agent = undefined;
    for (const sandbox of this.sandboxes.values()) mounted.delete(sandbox.path);
    this.sandboxes.clear();
    this.host.destroy();
  }

  powerOn(): void {
    this.isOn = true;
    this.#kernel = new Process(`kernel of ${this.name}`, this.name);
    this.host = new Space();
    this.localPods = new ModelMap(this.host);
    this.clusterPods = new ModelMap(this.host);
    this.#boot();
  }

  makeSandbox(pod: SandboxPod): Sandbox {
    this.#sandboxCount += 1;
    const id = `${this.name}-s${this.#sandboxCount}`;
    const space = new Space();
    this.#furnish(space);
    const path = `/run/netns/${id}`;
    mounted.set(path, space);
    const gone = new AbortController();
    const made = { id, pod, path, space, gone, address: '', isMounted: true, needsDel: true };
    const sandbox: Sandbox = { ...made, state: 'adding' };
    this.sandboxes.set(id, sandbox);
    return sandbox;
  }

  /** The runtime gives the namespace up, and what is in it goes. */
  unmount(sandbox: Sandbox): void {
    sandbox.isMounted = false;
    mounted.delete(sandbox.path);
    sandbox.space.destroy();
  }

  /** Where the agent works. */
  asHost(): { host: Host; datapath: Datapath } {
    const netns = new Netns(this.host, `/proc/${this.name}`);
    const host = { netns, socket: RouteSocket.open(netns) };
    const { localPods, clusterPods } = this;
    const datapath = { localPods, clusterPods, fromPod: { id: 1 }, wirePins: noPins };
    // The model has the calls that the agent's wires are made by, and no more.
    return { host: host as unknown as Host, datapath: datapath as unknown as Datapath };
  }

  /** What the map `local_pod_ips` leads to, with whose wire that is; of a wire that is no more, nobody's. */
  entries(): Entry[] {
    return this.localPods.contents().map((raw) => {
      const { address, ifindex } = decodeLocalPod(raw);
      const label = parseAlias(this.host.links.get(ifindex)?.alias ?? '');
      return { address, identity: label?.identity ?? '', containerId: label?.containerId ?? '' };
    });
  }

  #boot(): void {
    this.#furnish(this.host);
  }

  #furnish(space: Space): void {
    space.gate = () => this.#gate();
    space.defer = (work) => {
      this.#time.after(graceMs, this.#kernel, work);
    };
  }

  #gate(): () => boolean {
    const process = this.agentProcess;
    if (!process.isAlive) throw new ProcessDied(process.name);
    if (this.callsLeft > 0) {
      this.callsLeft -= 1;
      if (this.callsLeft === 0) {
        this.#kill(this);
        throw new ProcessDied(process.name);
      }
    }
    return () => process.isAlive;
  }
}
