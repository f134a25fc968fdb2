// SPDX-License-Identifier: Apache-2.0
// One node with a real API server and the real agent as a process, all in the network and mount namespace of the process
// that runs this. `unshare --net --mount` gives such a process; nothing of the machine's own network is touched.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import {
  closeSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBpf } from '../../scripts/build-bpf.ts';
import { buildCni } from '../../scripts/build-cni.ts';
import { buildFolder } from '../../scripts/steps.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import { apiVersion } from '../../src/api/names.ts';
import { companions } from '../../src/node/cni-install.ts';
import { endpointKind, recordKind } from '../../src/operator/kinds.ts';
import { program as fastCni, startPlugin } from '../kernel/runtime.ts';
import { eventually, HollowCluster } from './hollow-cluster.ts';

const program = fileURLToPath(new URL('../../src/node/main.ts', import.meta.url));
export const nodeName = 'one';
export const nodeAddress = '172.30.0.1';
const overlayAddress = '10.244.224.0';
const readyWithinMs = 60_000;

export function run(...argv: string[]): string {
  const [name = '', ...args] = argv;
  return execFileSync(name, args, { encoding: 'utf8', stdio: 'pipe' });
}

/** Links that nobody else sees: an uplink that leads nowhere, and a default route for those that ask for one. */
function layOutNode(): void {
  const links = readdirSync('/proc/sys/net/ipv4/conf').filter((name) => !['all', 'default', 'lo'].includes(name));
  if (links.length > 0) throw new Error(`this is no namespace of its own, it has ${links.join(', ')}`);
  run('ip', 'link', 'set', 'lo', 'up');
  run('ip', 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', 'away0');
  run('ip', 'addr', 'add', `${nodeAddress}/24`, 'dev', 'up0');
  for (const link of ['up0', 'away0']) run('ip', 'link', 'set', link, 'up');
  run('ip', 'route', 'add', 'default', 'via', '172.30.0.254');
}

export interface Sandbox {
  readonly name: string;
  /** As a runtime puts it into CNI_NETNS. */
  readonly netns: string;
}

/** The record of a pod whose name and uid are one. */
export function recordOf(pod: string, address: string): IpAllocation {
  return {
    apiVersion,
    kind: 'IpAllocation',
    metadata: { name: address },
    spec: {
      address,
      ips: 'sample-ips',
      gateway: '10.244.0.1',
      prefixLength: 32,
      nodeName,
      nodeUID: 'node-one',
      owner: { kind: 'Pod', namespace: 'default', name: pod, uid: pod },
      state: 'Bound',
      stateSince: '2026-01-01T00:00:00Z',
    },
  };
}

export class AgentMachine {
  readonly folder = mkdtempSync(join(tmpdir(), 'fast-machine-'));
  readonly socket = join(this.folder, 'agent.sock');
  readonly #log = join(this.folder, 'agent.log');
  readonly #bpffs = join(this.folder, 'bpf');
  readonly #configuration = join(this.folder, 'conf/10-fast.conflist');
  readonly #sandboxes: string[] = [];
  #agent: ChildProcess | undefined;
  cluster!: HollowCluster;

  /** A node that takes pods, which `agentPid` serves; this process stands for the controller. */
  static async start(): Promise<AgentMachine> {
    return await AgentMachine.bare(async (machine) => {
      await machine.cluster.addPool('sample-ips', ['10.244.10.0-10.244.20.250']);
      await machine.cluster.client.create(endpointKind, {
        apiVersion,
        kind: 'NodeEndpoint',
        metadata: { name: nodeName },
        spec: { nodeUID: 'node-one', tunnelAddress: nodeAddress, overlayAddress },
      });
      await machine.startAgent();
    });
  }

  /** An API server that knows Fast's kinds, and links for an agent; `furnish` does the rest. */
  static async bare(furnish: (machine: AgentMachine) => Promise<void>): Promise<AgentMachine> {
    await buildBpf();
    await buildCni();
    layOutNode();
    const machine = new AgentMachine();
    mkdirSync(machine.#bpffs);
    run('mount', '-t', 'bpf', 'bpf', machine.#bpffs);
    try {
      machine.cluster = await HollowCluster.start();
      await furnish(machine);
      return machine;
    } catch (error) {
      await machine.stop();
      throw error;
    }
  }

  get agentPid(): number {
    return this.#agent?.pid ?? 0;
  }

  /** Where the agent's maps are pinned. */
  get pinFolder(): string {
    return join(this.#bpffs, 'fast');
  }

  /** Comes back when the agent takes pods. */
  async startAgent(): Promise<void> {
    this.spawnAgent();
    await this.takesPods();
  }

  /** What a former agent told the runtime is gone, as after a boot: `takesPods` is of this one. */
  spawnAgent(): void {
    rmSync(this.#configuration, { force: true });
    const flags = Object.entries({
      node: nodeName,
      kubeconfig: this.cluster.server.kubeconfig,
      socket: this.socket,
      'bpf-object': join(buildFolder, 'fast.bpf.o'),
      'pin-folder': this.pinFolder,
      'cni-bin-dir': join(this.folder, 'bin'),
      'host-run': join(this.folder, 'run'),
      'cni-conf-dir': join(this.folder, 'conf'),
      'cni-source': this.#cniSource(),
      'health-port': '0',
      'log-level': 'error',
    }).flatMap(([name, value]) => [`--${name}`, value]);
    const log = openSync(this.#log, 'a');
    const child = spawn(process.execPath, [program, ...flags], { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#agent = child;
    // Whatever way this process ends, its agent does not outlive it.
    process.once('exit', () => child.kill('SIGKILL'));
  }

  isConfigured(): boolean {
    return existsSync(this.#configuration);
  }

  async takesPods(): Promise<void> {
    const child = this.#agent;
    await eventually(
      'the agent to take pods',
      () => {
        if (child?.exitCode !== null)
          throw new Error(`fast-agent ended with code ${child?.exitCode}: ${this.agentLog()}`);
        // From that file on the runtime sends pods.
        if (this.isConfigured() && !existsSync(this.socket)) {
          throw new Error('the configuration is there before the socket');
        }
        return Promise.resolve(this.isConfigured());
      },
      readyWithinMs,
    );
  }

  /** Has the executable do what a runtime asks of it. Answers what it complains of. */
  async cni(
    command: 'ADD' | 'DEL',
    sandbox: Sandbox,
    containerId: string,
    uid = sandbox.name,
  ): Promise<string | undefined> {
    const { name, netns } = sandbox;
    const variables = {
      CNI_COMMAND: command,
      CNI_CONTAINERID: containerId,
      CNI_NETNS: netns,
      CNI_IFNAME: 'eth0',
      CNI_PATH: '/opt/cni/bin',
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=${uid}`,
    };
    const stdin = JSON.stringify({ cniVersion: '1.0.0', name: 'fast', type: 'fast-cni', socket: this.socket });
    const { code, stdout, stderr } = await startPlugin(variables, stdin, fastCni).ended;
    return code === 0 ? undefined : `${command} ${name}: ${stdout}${stderr}`;
  }

  /** What all agents of this machine have said, errors alone. */
  agentLog(): string {
    return readFileSync(this.#log, 'utf8');
  }

  /** What the agent's image brings. */
  #cniSource(): string {
    const source = join(this.folder, 'source');
    mkdirSync(source, { recursive: true });
    copyFileSync(join(buildFolder, 'fast-cni'), join(source, 'fast-cni'));
    for (const name of companions) copyFileSync(`/usr/lib/cni/${name}`, join(source, name));
    return source;
  }

  async endAgent(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#agent;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await gone;
  }

  /** A namespace as a runtime makes it for a pod. */
  sandbox(name: string): Sandbox {
    const full = `fmachine-${process.pid}-${name}`;
    run('ip', 'netns', 'add', full);
    this.#sandboxes.push(full);
    return { name, netns: `/run/netns/${full}` };
  }

  async addRecord(pod: string, address: string): Promise<IpAllocation> {
    return await this.cluster.client.create(recordKind, recordOf(pod, address));
  }

  /** The host's ends of pods' wires. */
  hostVeths(): string[] {
    return readdirSync('/proc/sys/net/ipv4/conf').filter((name) => /^fast[0-9a-f]{10}$/.test(name));
  }

  async stop(): Promise<void> {
    await this.endAgent('SIGTERM');
    for (const name of this.#sandboxes) run('ip', 'netns', 'del', name);
    await this.cluster?.stop();
    run('umount', '-l', this.#bpffs);
    rmSync(this.folder, { recursive: true });
  }
}
