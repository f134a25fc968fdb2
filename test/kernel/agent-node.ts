// SPDX-License-Identifier: Apache-2.0
// A node in a namespace of its own with the agent's own parts at work in it, and pods as namespaces.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { Netns } from 'ebpf-native';
import { buildBpf } from '../../scripts/build-bpf.ts';
import { buildFolder } from '../../scripts/steps.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { Mode } from '../../src/api/names.ts';
import type { Clock } from '../../src/kube/clock.ts';
import { silentLog } from '../../src/kube/log.ts';
import { openHost } from '../../src/node/host.ts';
import { RecordReports } from '../../src/node/record-reports.ts';
import { Records } from '../../src/node/records.ts';
import type { StepObserver } from '../../src/node/steps.ts';
import { buildWiring, type Wiring } from '../../src/node/wiring-parts.ts';
import type { AgentRequest, Attachment } from '../../src/protocol/messages.ts';
import { MemoryRecords, record } from './memory-records.ts';

const family = 'fagent-';
/** Tells a process of a test whose namespaces it shares. */
export const runVariable = 'FAST_TEST_RUN';
/** Each run has namespaces of its own, so that two runs on one machine do not end each other's. */
export const testRun = process.env[runVariable] ?? String(process.pid);
const prefix = `${family}${testRun}-`;

export interface Place {
  /** The Node object's name and the namespace's. */
  readonly name: string;
  readonly nodeAddress: string;
  readonly overlayAddress: string;
}

export const one: Place = { name: 'one', nodeAddress: '172.30.0.1', overlayAddress: '10.244.224.0' };
export const two: Place = { name: 'two', nodeAddress: '172.30.0.2', overlayAddress: '10.244.224.1' };
/** A machine that knows nothing of pods, and the switch between the nodes. */
export const outsideAddress = '172.30.0.100';

export function endpointOf({ name, nodeAddress, overlayAddress }: Place, podAddresses: string[] = []): NodeEndpoint {
  return {
    metadata: { name },
    spec: { nodeUID: `node-${name}`, tunnelAddress: nodeAddress, overlayAddress, podAddresses },
  };
}

export function run(...argv: string[]): string {
  const [program = '', ...args] = argv;
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });
}

/** Runs a command in the namespace of the node or of a pod. */
export function inside(name: string, ...argv: string[]): string {
  return run('ip', 'netns', 'exec', prefix + name, ...argv);
}

/** The path of a namespace, as a runtime puts it into CNI_NETNS. */
export function netnsPath(name: string): string {
  return `/run/netns/${prefix}${name}`;
}

/** What `ip` is to be given for a command in the namespace of the node or of a pod. */
export function insideArguments(name: string, ...argv: string[]): string[] {
  return ['netns', 'exec', prefix + name, ...argv];
}

/** What killed runs left. A machine that has never had a named namespace has no folder for them. */
function clearRemains(): void {
  const names = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const name of names) {
    const pid = name.startsWith(family) ? name.slice(family.length).split('-')[0] : undefined;
    if (pid === undefined || (pid !== String(process.pid) && existsSync(`/proc/${pid}`))) continue;
    run('ip', 'netns', 'del', name);
  }
}

/** busybox's ping; a failure is an exception. */
export function ping(from: string, to: string, count = 5): { received: number; ttls: number[] } {
  const text = inside(from, 'busybox', 'ping', '-c', String(count), '-i', '0.01', '-W', '1', to);
  const ttls = [...text.matchAll(/ttl=(\d+)/g)].map((match) => Number(match[1]));
  return { received: ttls.length, ttls: [...new Set(ttls)] };
}

/** The machine outside with the switch in it. What a killed run left is cleared away first. */
export async function outsideUp(): Promise<void> {
  await buildBpf();
  clearRemains();
  run('ip', 'netns', 'add', `${prefix}outside`);
  const o = ['ip', '-n', `${prefix}outside`];
  run(...o, 'link', 'add', 'br0', 'type', 'bridge');
  run(...o, 'addr', 'add', `${outsideAddress}/24`, 'dev', 'br0');
  run(...o, 'link', 'set', 'br0', 'up');
}

export function outsideDown(): void {
  run('ip', 'netns', 'del', `${prefix}outside`);
}

/** What an agent is told by flags, or is by its build. */
export interface NodeOptions {
  mode?: Mode;
  layout?: number;
  bpfObject?: string;
  /** For the reports of records alone: the grace that a DEL is given. */
  clock?: Clock;
}

export class AgentNode {
  /** For the next start. */
  readonly options: NodeOptions = {};
  readonly records = new MemoryRecords();
  readonly pools: Ips[] = [
    { metadata: { name: 'sample-ips' }, spec: { subnet: '10.244.0.1/32', ips: ['10.244.10.0-10.244.10.63'] } },
  ];
  /** Shared by all nodes of a test. */
  readonly endpoints: NodeEndpoint[];
  readonly #place: Place;
  readonly #bpffs: string;
  readonly #pods = new Set<string>();
  readonly #observers = new Set<StepObserver>();
  #reports: RecordReports | undefined;
  wiring!: Wiring;

  private constructor(place: Place, endpoints: NodeEndpoint[], bpffs: string) {
    this.#place = place;
    this.endpoints = endpoints;
    this.#bpffs = bpffs;
  }

  /** Makes the namespace with an uplink to the switch, and starts the agent's parts in it. */
  static async up(place: Place, endpoints: NodeEndpoint[], options: NodeOptions = {}): Promise<AgentNode> {
    const bpffs = mkdtempSync(join(tmpdir(), family));
    run('mount', '-t', 'bpf', 'bpf', bpffs);
    const node = new AgentNode(place, endpoints, bpffs);
    Object.assign(node.options, options);
    run('ip', 'netns', 'add', prefix + place.name);
    const [n, o] = [place.name, 'outside'].map((name) => ['ip', '-n', prefix + name]) as [string[], string[]];
    const port = `to-${place.name}`;
    run(...n, 'link', 'set', 'lo', 'up');
    run(...n, 'link', 'add', 'up0', 'type', 'veth', 'peer', 'name', port, 'netns', `${prefix}outside`);
    run(...n, 'addr', 'add', `${place.nodeAddress}/24`, 'dev', 'up0');
    run(...n, 'link', 'set', 'up0', 'up');
    run(...o, 'link', 'set', port, 'master', 'br0', 'up');
    run(...n, 'route', 'add', 'default', 'via', outsideAddress);
    await node.start();
    return node;
  }

  /** The agent's parts over a node that another process made, whose agent died or was stopped. */
  static async adopt(
    place: Place,
    endpoints: NodeEndpoint[],
    pinFolder: string,
    own: IpAllocation[],
  ): Promise<AgentNode> {
    const node = new AgentNode(place, endpoints, dirname(pinFolder));
    for (const one of own) node.records.put(one);
    await node.start();
    return node;
  }

  /** Where the maps of this node are pinned. */
  get pinFolder(): string {
    return join(this.#bpffs, 'fast');
  }

  /** Starts the agent's parts, the first time or again over what a former one left; `isPoor`: something is missing. */
  async start(isPoor = false): Promise<void> {
    const netns = Netns.open(netnsPath(this.#place.name));
    const records = new Records(this.records);
    this.wiring = buildWiring({
      host: openHost(netns),
      bpfObject: this.options.bpfObject ?? join(buildFolder, 'fast.bpf.o'),
      pinFolder: this.pinFolder,
      uplink: 'auto',
      mode: this.options.mode ?? 'tunnel',
      layout: this.options.layout,
      node: this.#place.name,
      records,
      endpoints: () => this.endpoints,
      pools: () => this.pools,
      moreParts: [],
      everyMs: 3_600_000,
      onChange: (address) => this.#reports?.look(address),
      onRun: () => undefined,
      observer: {
        begins: (step) => {
          for (const one of this.#observers) one.begins(step);
        },
        ended: (step) => {
          for (const one of this.#observers) one.ended(step);
        },
      },
      log: silentLog,
    });
    this.#reports = new RecordReports({
      client: { replaceStatus: (_resource, object) => this.#replaceStatus(object as never) as never },
      records,
      book: this.wiring.book,
      attachments: this.wiring.attachments,
      hasOverlayAddress: this.wiring.hasOverlayAddress,
      clock: this.options.clock,
      log: silentLog,
    });
    await (isPoor ? this.wiring.comparison.runNow(true) : this.compare());
    this.#reports.start();
  }

  /** Stops the parts as a SIGTERM does: nothing of the datapath is touched. */
  async stop(): Promise<void> {
    await this.wiring.comparison.stop();
    await this.#reports?.stop();
    await this.wiring.remover.settled();
  }

  /** Has an observer see the steps of ADD and DEL until it is called. What it throws is the step's failure. */
  observe(observer: Partial<StepObserver>): () => void {
    const whole = { begins: () => undefined, ended: () => undefined, ...observer };
    this.#observers.add(whole);
    return () => this.#observers.delete(whole);
  }

  /** Has a step fail, from now until it is called. */
  failing(step: string): () => void {
    return this.observe({
      begins: (name) => {
        if (name === step) throw new Error('the kernel refuses');
      },
    });
  }

  async compare(): Promise<void> {
    await this.wiring.comparison.runNow(true);
    const problems = this.wiring.comparison.problems();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  async down(): Promise<void> {
    await this.stop();
    this.removeSandboxes();
    run('ip', 'netns', 'del', prefix + this.#place.name);
    run('umount', this.#bpffs);
    rmSync(this.#bpffs, { recursive: true });
  }

  /** A sandbox: a namespace as the runtime makes it. */
  sandbox(pod: string): void {
    run('ip', 'netns', 'add', prefix + pod);
    run('ip', '-n', prefix + pod, 'link', 'set', 'lo', 'up');
    this.#pods.add(pod);
  }

  removeSandbox(pod: string): void {
    run('ip', 'netns', 'del', prefix + pod);
    this.#pods.delete(pod);
  }

  /** Ends a test: no record, wire or sandbox is left. */
  async clear(): Promise<void> {
    for (const left of this.records.list()) this.records.remove(left.metadata.name);
    for (const wire of this.wiring.book.list()) this.wiring.remover.remove(wire);
    await this.wiring.remover.settled();
    this.removeSandboxes();
  }

  removeSandboxes(): void {
    for (const pod of this.#pods) this.removeSandbox(pod);
  }

  request(
    command: AgentRequest['command'],
    sandbox: string,
    uid: string,
    more: Partial<AgentRequest> = {},
  ): AgentRequest {
    return {
      protocol: 1,
      command,
      containerId: `container-${sandbox}`,
      netns: netnsPath(sandbox),
      ifName: 'eth0',
      pod: { namespace: 'default', name: uid, uid },
      deadlineMs: 5000,
      ...more,
    };
  }

  /** A pod that has its sandbox and its record, and no wire yet. */
  pod(name: string, address: string, change: Partial<IpAllocation['spec']> = {}): void {
    this.sandbox(name);
    this.records.put(record(address, name, change));
  }

  /** A pod that has its wire too. */
  async addPod(name: string, address: string, change: Partial<IpAllocation['spec']> = {}): Promise<Attachment> {
    this.pod(name, address, change);
    return await this.add(name, name);
  }

  /** ADD that must succeed. */
  async add(sandbox: string, uid: string): Promise<Attachment> {
    const response = await this.wiring.attachments.add(this.request('ADD', sandbox, uid));
    if (!response.ok || response.result === undefined) throw new Error(JSON.stringify(response));
    return response.result;
  }

  /** DEL, and what follows behind its answer. */
  async del(sandbox: string, uid: string): Promise<void> {
    const response = await this.wiring.attachments.del(this.request('DEL', sandbox, uid));
    if (!response.ok) throw new Error(JSON.stringify(response));
    await this.wiring.remover.settled();
  }

  /** The host veths of the node. */
  veths(): string[] {
    const links = JSON.parse(inside(this.#place.name, 'ip', '-j', 'link')) as Array<{ ifname: string }>;
    return links.map((link) => link.ifname).filter((name) => /^fast[0-9a-f]/.test(name));
  }

  /** As the API server does: a stale resourceVersion is a conflict. */
  #replaceStatus(object: IpAllocation): Promise<IpAllocation> {
    const present = this.records.get(object.metadata.name);
    if (present?.metadata.resourceVersion !== object.metadata.resourceVersion) {
      return Promise.reject(new Error('conflict'));
    }
    return Promise.resolve(
      this.records.put({
        ...present,
        ...(object.status === undefined ? {} : { status: object.status }),
      } as IpAllocation),
    );
  }
}
