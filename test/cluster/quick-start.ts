// SPDX-License-Identifier: Apache-2.0
// What the quick start promises, as checks against the cluster. The demo and the cluster tests share them.
import type { IpAllocation, NodeEndpoint } from '../../src/api/generated/index.ts';
import { execOnNode, kubectl, nodeNames } from './cluster.ts';
import { eventually, kube, objects } from './fast.ts';
import { type Held, heldByQuickStart, keptByOthers, notReleased } from './quick-start-addresses.ts';
import { quickStartBlocks } from './readme.ts';

export const promisedAddresses = {
  busybox: ['10.244.10.0', '10.244.10.1'],
  busybox1: ['10.244.100.0', '10.244.100.1'],
} as const;
export const workers = ['10-29-15-49', '10-29-15-50'];
const pings = 20;

export interface RunningPod {
  metadata: { name: string; uid: string; labels: Record<string, string>; deletionTimestamp?: string };
  spec: { nodeName?: string };
  status: { phase: string; podIP?: string };
}

export class Broken extends Error {}

function expectEqual(what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(found), JSON.stringify(wanted)];
  if (a !== b) throw new Broken(`${what}: expected ${b}, found ${a}`);
}

export async function podsOf(app: string): Promise<RunningPod[]> {
  const pods = await objects<RunningPod>('pods', '-n', 'default', '-l', `app=${app}`);
  return pods.filter((pod) => pod.metadata.deletionTimestamp === undefined);
}

/** Makes what the page makes, and waits as it does. What else it types is for the eye. */
export async function makeQuickStart(): Promise<RunningPod[]> {
  for (const block of quickStartBlocks()) {
    if (block.kind === 'manifest') {
      await kube(['create', '-f', '-'], block.yaml);
    } else {
      const waits = block.lines.filter((line) => line.startsWith('kubectl wait '));
      for (const line of waits) await kube(line.split(' ').slice(1));
    }
  }
  return checkAddresses();
}

/** The two pods of each Deployment hold the two lowest addresses of their pool, one on each worker. */
export async function checkAddresses(): Promise<RunningPod[]> {
  const all: RunningPod[] = [];
  for (const [app, wanted] of Object.entries(promisedAddresses)) {
    const pods = await podsOf(app);
    expectEqual(`addresses of ${app}`, pods.map((pod) => String(pod.status.podIP)).toSorted(), wanted);
    expectEqual(`nodes of ${app}`, pods.map((pod) => String(pod.spec.nodeName)).toSorted(), workers);
    all.push(...pods);
  }
  return all;
}

/** 20 pings from each pod to each other: none lost, each as one hop. Answers how many pairs on one node and across. */
export async function checkPings(pods: RunningPod[]): Promise<{ onOneNode: number; across: number }> {
  const pairs = pods.flatMap((from) => pods.filter((to) => to !== from).map((to) => ({ from, to })));
  await Promise.all(
    pairs.map(async ({ from, to }) => {
      const address = to.status.podIP ?? '';
      const args = ['exec', from.metadata.name, '--', 'ping', '-c', String(pings), '-i', '0.2', '-W', '2', address];
      const { stdout, stderr } = await kubectl(args);
      const what = `ping from ${from.status.podIP} on ${from.spec.nodeName} to ${address} on ${to.spec.nodeName}`;
      if (!stdout.includes(`${pings} packets received, 0% packet loss`))
        throw new Broken(`${what}: ${stdout}${stderr}`);
      expectEqual(`${what}, replies with ttl=64`, stdout.split('ttl=64').length - 1, pings);
    }),
  );
  const onOneNode = pairs.filter(({ from, to }) => from.spec.nodeName === to.spec.nodeName).length;
  return { onOneNode, across: pairs.length - onOneNode };
}

/** The agents say that a wire is there in a calm moment, at most ten seconds after it was made. */
const saidAttachedMs = 15_000;

/** `kubectl get ipallocations` has the columns that people read, and soon a line with each pod's truth. */
export async function checkRecords(pods: RunningPod[]): Promise<void> {
  await eventually('the records', saidAttachedMs, async () => {
    const table = await kube(['get', 'ipallocations']);
    const silent = pods.find((pod) => cellsOf(table, pod)?.length !== 8);
    return silent === undefined || `the record of ${silent.status.podIP} does not say that it is attached`;
  });
  const table = await kube(['get', 'ipallocations']);
  const [head = ''] = table.split('\n');
  const columns = ['NAME', 'POOL', 'STATE', 'NAMESPACE', 'POD', 'NODE', 'ATTACHED', 'AGE'];
  expectEqual('columns of kubectl get ipallocations', head.trim().split(/\s+/), columns);
  for (const pod of pods) {
    const pool = pod.metadata.labels['app'] === 'busybox' ? 'sample-ips' : 'default-ips';
    const wanted = [pod.status.podIP, pool, 'Bound', 'default', pod.metadata.name, pod.spec.nodeName];
    expectEqual(`the record of ${pod.status.podIP}`, cellsOf(table, pod)?.slice(0, 6), wanted);
  }
}

/** The line of the pod's address, in cells; an empty column leaves no cell. */
function cellsOf(table: string, pod: RunningPod): string[] | undefined {
  const lines = table.split('\n').map((line) => line.trim().split(/\s+/));
  return lines.find((line) => line[0] === pod.status.podIP);
}

/** The entries of a node's map as fast-ctl shows them, by address. */
export async function mapEntries(node: string, map: string): Promise<Array<Record<string, unknown>>> {
  const selector = [
    '-n',
    'fast-system',
    '-l',
    'app.kubernetes.io/name=fast-agent',
    '--field-selector',
    `spec.nodeName=${node}`,
  ];
  const [agent] = await objects<RunningPod>('pods', ...selector);
  if (agent === undefined) throw new Broken(`no agent runs on ${node}`);
  const args = ['exec', '-n', 'fast-system', agent.metadata.name, '--', 'fast-ctl', 'maps', 'list', map, '-o', 'json'];
  return JSON.parse(await kube(args)) as Array<Record<string, unknown>>;
}

/** Each node knows its own pods as local and all others as remote. */
export async function checkMaps(pods: RunningPod[]): Promise<void> {
  for (const node of nodeNames()) {
    const own = pods.filter((pod) => pod.spec.nodeName === node).map((pod) => String(pod.status.podIP));
    const other = pods.filter((pod) => pod.spec.nodeName !== node).map((pod) => String(pod.status.podIP));
    const local = (await mapEntries(node, 'local_pod_ips')).map((entry) => String(entry['address']));
    const cluster = (await mapEntries(node, 'cluster_pod_ips')).map((entry) => String(entry['address']));
    expectEqual(`local_pod_ips of ${node}`, local.toSorted(), own.toSorted());
    for (const address of other) {
      if (!cluster.includes(address)) throw new Broken(`cluster_pod_ips of ${node} lacks ${address}`);
    }
    for (const address of own) {
      if (cluster.includes(address)) throw new Broken(`cluster_pod_ips of ${node} holds its own pod ${address}`);
    }
  }
}

async function entriesLeft(node: string, addresses: readonly string[]): Promise<string | undefined> {
  for (const map of ['local_pod_ips', 'cluster_pod_ips']) {
    const left = (await mapEntries(node, map)).filter((entry) => addresses.includes(String(entry['address'])));
    if (left.length > 0) return `${map} of ${node} still holds ${left.map((entry) => entry['address']).join(', ')}`;
  }
  return undefined;
}

/** Names what is still there of pods that are gone: records, entries, wires. `true` when there is nothing. */
export async function remains(addresses: readonly string[]): Promise<true | string> {
  const records = await objects<IpAllocation>('ipallocations');
  const held = records.filter(
    (one) => one.spec.owner.kind === 'Pod' && ['Bound', 'Releasing'].includes(one.spec.state),
  );
  if (held.length > 0) return `records: ${held.map((one) => `${one.metadata.name} ${one.spec.state}`).join(', ')}`;
  const views = await objects<NodeEndpoint>('nodeendpoints');
  const shown = views.filter((one) => (one.spec.podAddresses ?? []).length > 0);
  if (shown.length > 0) return `NodeEndpoints with addresses: ${shown.map((one) => one.metadata.name).join(', ')}`;
  for (const node of nodeNames()) {
    const left = await entriesLeft(node, addresses);
    if (left !== undefined) return left;
    const links = await execOnNode(node, ['ip', '-o', 'link', 'show', 'type', 'veth']);
    const wires = links.stdout.split('\n').filter((line) => /^\d+: fast/.test(line));
    if (wires.length > 0) return `host veths on ${node}: ${wires.map((line) => line.split(/\s+/)[1]).join(' ')}`;
  }
  return true;
}

/** The same of the quick start alone, beside which people may have pods of their own. */
async function quickStartRemains(held: Held): Promise<true | string> {
  const endpoints = await objects<NodeEndpoint>('nodeendpoints');
  const left = notReleased(await objects<IpAllocation>('ipallocations'), endpoints, held);
  if (left !== undefined) return left;
  for (const node of nodeNames()) {
    const entries = await entriesLeft(node, held.addresses);
    if (entries !== undefined) return entries;
    const links = await execOnNode(node, ['ip', '-o', 'link', 'show', 'type', 'veth']);
    const wires = held.wires.filter((wire) => wire.node === node && links.stdout.includes(` ${wire.name}@`));
    if (wires.length > 0) return `host veths on ${node}: ${wires.map(({ name }) => name).join(' ')}`;
  }
  return true;
}

/**
 * Deletes what the quick start made and waits until every address of it is free again. Answers which were held.
 * @throws Broken with the cure, before anything is deleted, where pods of others are in its pools
 */
export async function releaseQuickStart(): Promise<readonly string[]> {
  const apps = Object.keys(promisedAddresses);
  const records = await objects<IpAllocation>('ipallocations');
  const kept = keptByOthers(records);
  if (kept !== undefined) throw new Broken(kept);
  const held = heldByQuickStart(records);
  const theirs = ['-l', `app in (${apps.join(',')})`, '--ignore-not-found'];
  // Orphaned from the top down: a ReplicaSet that is still there would make new pods, and the garbage collector would
  // give the old ones 30 s of grace, which their shells sleep through and which cannot be shortened once it runs.
  await kube(['delete', 'deployment', ...apps, '--ignore-not-found', '--cascade=orphan']);
  await kube(['delete', 'replicasets', ...theirs, '--cascade=orphan']);
  await kube(['delete', 'pods', '--grace-period=1', ...theirs]);
  try {
    await eventually("every address of the quick start's pods being released", 60_000, () => quickStartRemains(held));
    await kube(['delete', 'ips', 'sample-ips', 'default-ips', '--ignore-not-found', '--timeout=90s']);
  } catch (error) {
    const cure = 'fast-ctl status says why; npm run cluster -- down begins with a new cluster';
    throw new Broken(`${error instanceof Error ? error.message : String(error)}; ${cure}`, { cause: error });
  }
  return held.addresses;
}
