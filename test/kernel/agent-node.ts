// SPDX-License-Identifier: Apache-2.0
// A node in a namespace of its own with the agent's own parts at work in it, and pods as namespaces. The records are in
// memory, through the interface that the informer has.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Netns } from 'ebpf-native';
import { buildBpf } from '../../scripts/build-bpf.ts';
import { buildFolder } from '../../scripts/steps.ts';
import type { IpAllocation } from '../../src/api/generated/ip-allocation.ts';
import type { Ips } from '../../src/api/generated/ips.ts';
import type { NodeEndpoint } from '../../src/api/generated/node-endpoint.ts';
import type { InformerEvent } from '../../src/kube/informer.ts';
import { silentLog } from '../../src/kube/log.ts';
import { Store } from '../../src/kube/store.ts';
import { openHost } from '../../src/node/host.ts';
import { RecordReports } from '../../src/node/record-reports.ts';
import { recordIndexes, Records, type RecordSource } from '../../src/node/records.ts';
import { buildWiring, type Wiring } from '../../src/node/wiring-parts.ts';
import type { AgentRequest, Attachment } from '../../src/protocol/messages.ts';

const prefix = 'fagent-';
export const nodeAddress = '172.30.0.1';
export const overlayAddress = '10.244.224.0';

export function run(...argv: string[]): string {
  const [program = '', ...args] = argv;
  return execFileSync(program, args, { encoding: 'utf8', stdio: 'pipe' });
}

/** Runs a command in the namespace of the node or of a pod. */
export function inside(name: string, ...argv: string[]): string {
  return run('ip', 'netns', 'exec', prefix + name, ...argv);
}

/** What a killed run left. */
function clearRemains(): void {
  for (const line of run('ip', 'netns').split('\n')) {
    const [name = ''] = line.split(' ');
    if (name.startsWith(prefix)) run('ip', 'netns', 'del', name);
  }
}

/** Records as the API server would show them, with events on every change. */
export class MemoryRecords implements RecordSource {
  readonly hasSynced = true;
  readonly #store = new Store<IpAllocation>(recordIndexes);
  readonly #handlers = new Set<(event: InformerEvent<IpAllocation>) => void>();
  #version = 0;

  get(name: string): IpAllocation | undefined {
    return this.#store.get(name);
  }

  list(): IpAllocation[] {
    return this.#store.list();
  }

  byIndex(index: string, value: string): IpAllocation[] {
    return this.#store.byIndex(index, value);
  }

  on(handler: (event: InformerEvent<IpAllocation>) => void): () => void {
    this.#handlers.add(handler);
    for (const object of this.list()) handler({ type: 'added', object });
    return () => this.#handlers.delete(handler);
  }

  put(record: IpAllocation): IpAllocation {
    this.#version += 1;
    const object = { ...record, metadata: { ...record.metadata, resourceVersion: String(this.#version) } };
    const old = this.#store.put(object);
    const event: InformerEvent<IpAllocation> =
      old === undefined ? { type: 'added', object } : { type: 'updated', object, old };
    for (const handler of this.#handlers) handler(event);
    return object;
  }

  remove(name: string): void {
    const object = this.#store.remove(name);
    if (object === undefined) return;
    for (const handler of this.#handlers) handler({ type: 'deleted', object });
  }
}

export function record(address: string, uid: string, change: Partial<IpAllocation['spec']> = {}): IpAllocation {
  const spec: IpAllocation['spec'] = {
    address,
    ips: 'sample-ips',
    gateway: '10.244.0.1',
    prefixLength: 32,
    nodeName: 'one',
    nodeUID: 'node-one',
    owner: { kind: 'Pod', namespace: 'default', name: uid, uid },
    state: 'Bound',
    stateSince: '2026-01-01T00:00:00Z',
    ...change,
  };
  return { metadata: { name: address, uid: `record-${address}` }, spec };
}

export class AgentNode {
  readonly records = new MemoryRecords();
  readonly pools: Ips[] = [
    { metadata: { name: 'sample-ips' }, spec: { subnet: '10.244.0.1/32', ips: ['10.244.10.0-10.244.10.63'] } },
  ];
  readonly endpoints: NodeEndpoint[] = [
    { metadata: { name: 'one' }, spec: { nodeUID: 'node-one', tunnelAddress: nodeAddress, overlayAddress } },
  ];
  readonly #bpffs: string;
  readonly #pods = new Set<string>();
  #reports: RecordReports | undefined;
  wiring!: Wiring;

  private constructor(bpffs: string) {
    this.#bpffs = bpffs;
  }

  /** Makes the namespace with an uplink, and starts the agent's parts in it. */
  static async up(): Promise<AgentNode> {
    await buildBpf();
    clearRemains();
    const bpffs = mkdtempSync(join(tmpdir(), prefix));
    run('mount', '-t', 'bpf', 'bpf', bpffs);
    const node = new AgentNode(bpffs);
    run('ip', 'netns', 'add', `${prefix}node`);
    run('ip', 'netns', 'add', `${prefix}outside`);
    const [n, o] = ['node', 'outside'].map((name) => ['ip', '-n', prefix + name]) as [string[], string[]];
    run(...n, 'link', 'set', 'lo', 'up');
    run(...n, 'link', 'add', 'up0', 'mtu', '1500', 'type', 'veth', 'peer', 'name', 'up0', 'netns', `${prefix}outside`);
    run(...n, 'addr', 'add', `${nodeAddress}/24`, 'dev', 'up0');
    run(...o, 'addr', 'add', '172.30.0.100/24', 'dev', 'up0');
    run(...n, 'link', 'set', 'up0', 'up');
    run(...o, 'link', 'set', 'up0', 'up');
    run(...n, 'route', 'add', 'default', 'via', '172.30.0.100');
    await node.start();
    return node;
  }

  /** Starts the agent's parts, the first time or again over what a former one left. */
  async start(): Promise<void> {
    const netns = Netns.open(`/run/netns/${prefix}node`);
    const records = new Records(this.records);
    this.wiring = buildWiring({
      host: openHost(netns),
      bpfObject: join(buildFolder, 'fast.bpf.o'),
      pinFolder: join(this.#bpffs, 'fast'),
      uplink: 'auto',
      node: 'one',
      records,
      endpoints: () => this.endpoints,
      pools: () => this.pools,
      moreParts: [],
      everyMs: 3_600_000,
      onChange: (address) => this.#reports?.look(address),
      onRun: () => undefined,
      log: silentLog,
    });
    this.#reports = new RecordReports({
      client: { replaceStatus: (_resource, object) => this.#replaceStatus(object as never) as never },
      records,
      book: this.wiring.book,
      attachments: this.wiring.attachments,
      overlayAddress: this.wiring.overlayAddress,
      log: silentLog,
    });
    await this.compare();
    this.#reports.start();
  }

  /** Stops the parts as a SIGTERM does: nothing of the datapath is touched. */
  async stop(): Promise<void> {
    await this.wiring.comparison.stop();
    await this.#reports?.stop();
    await this.wiring.remover.settled();
  }

  async compare(): Promise<void> {
    await this.wiring.comparison.runNow(true);
    const problems = this.wiring.comparison.problems();
    if (problems.length > 0) throw new Error(problems.join('; '));
  }

  async down(): Promise<void> {
    await this.stop();
    this.removeSandboxes();
    run('ip', 'netns', 'del', `${prefix}node`);
    run('ip', 'netns', 'del', `${prefix}outside`);
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
      netns: `/run/netns/${prefix}${sandbox}`,
      ifName: 'eth0',
      pod: { namespace: 'default', name: uid, uid },
      deadlineMs: 5000,
      ...more,
    };
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
    const links = JSON.parse(inside('node', 'ip', '-j', 'link')) as Array<{ ifname: string }>;
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
