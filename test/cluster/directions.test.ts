// SPDX-License-Identifier: Apache-2.0
// Every direction of traffic on the real cluster, in each mode of ours and of kube-proxy: nothing lost, every source as it should
// be, every limit and every error of the network where it belongs.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { up } from './cluster.ts';
import { directions, faultsOf } from './directions.ts';
import { installFast, objects } from './fast.ts';
import { turnKnobs } from './knobs.ts';
import type { Place } from './place.ts';
import { setProxyMode } from './proxy-mode.ts';
import { mapEntries } from './quick-start.ts';
import {
  excludedRange,
  limitBytesPerSecond,
  narrowAddress,
  narrowMtu,
  setStage,
  type Stage,
  strikeStage,
} from './stage.ts';
import { echoPort, sinkPort } from './traffic.ts';
import { webhookAnswers } from './webhook.ts';

const say = (line: string): void => console.error(line);
const minuteMs = 60_000;
let stage: Stage;

const cells = [
  { mode: 'tunnel', proxy: 'nftables' },
  { mode: 'tunnel', proxy: 'iptables' },
  { mode: 'direct', proxy: 'iptables' },
  { mode: 'direct', proxy: 'nftables' },
] as const;

beforeAll(async () => {
  await up({ say });
  await installFast(say);
  await turnKnobs({ mode: 'tunnel', 'masquerade-exclude': excludedRange });
  stage = await setStage();
}, 5 * minuteMs);

afterAll(async () => {
  await turnKnobs({ mode: 'tunnel', 'masquerade-exclude': '' });
  await strikeStage(stage);
}, 3 * minuteMs);

async function packetsAt(place: Place, counter: string): Promise<number> {
  const entry = (await mapEntries(place.machine, 'counters')).find((one) => one['name'] === counter);
  return Number(entry?.['packets']);
}

/** The addresses that answer on the way, nearest first. */
async function hops(from: Place, to: string): Promise<string[]> {
  const { stdout } = await from.run(['busybox', 'traceroute', '-n', '-q', '1', '-w', '2', '-m', '5', to]);
  return [...stdout.matchAll(/^ *\d+ +(\S+)/gm)].map((match) => match[1] ?? '');
}

/** The MTU that a place has learned of the way to an address; undefined where it has learned none. */
async function learnedMtu(from: Place, to: string): Promise<number | undefined> {
  const { stdout } = await from.run(['ip', 'route', 'get', to]);
  const found = / mtu (\d+)/.exec(stdout)?.[1];
  return found === undefined ? undefined : Number(found);
}

/** The counters of the way that pods' packets take to another node in each mode. */
const ways = { tunnel: 'from_pod_tunnel', direct: 'from_pod_direct' } as const;

describe.each(cells)('mode $mode, kube-proxy $proxy:', ({ mode, proxy }) => {
  beforeAll(async () => {
    await Promise.all([turnKnobs({ mode, 'masquerade-exclude': excludedRange }), setProxyMode(proxy)]);
  }, 4 * minuteMs);

  it("pods' packets to another node go the way of the mode", async () => {
    const { near, far } = stage.places;
    const counted = async (): Promise<number[]> =>
      await Promise.all([ways[mode], 'from_pod_flow'].map((counter) => packetsAt(near, counter)));
    const before = await counted();
    await near.ask({ do: 'udp', host: far.address, port: echoPort, count: 50, bytes: 100 });
    const [byWay = 0, byStack = 0] = (await counted()).map((after, at) => after - (before[at] ?? 0));
    // A datagram whose source port a Service's flow had a moment ago is the stack's: of 50 it may be one or two.
    expect(byWay).toBeGreaterThanOrEqual(45);
    expect(byWay + byStack).toBeGreaterThanOrEqual(50);
  });

  it.each(directions)('$name: nothing lost', async (direction) => {
    expect(await faultsOf(direction, stage)).toEqual([]);
  });

  it('an admission webhook that a pod serves answers the API server on another machine', async () => {
    const answers = await webhookAnswers(5);
    expect(answers.plain).toEqual(['allowed']);
    expect(answers.refused).toEqual([expect.stringContaining('denied the request: a pod has looked at it')]);
  });

  // What does not pass kube-proxy is the same in both of its modes.
  if (proxy === 'nftables') describe('besides,', besides);

  it("the kubelet's probes of every pod have never failed", async () => {
    const pods = await objects<{ status: { containerStatuses: Array<{ ready: boolean; restartCount: number }> } }>(
      'pods',
      '-l',
      'stage=directions',
    );
    const found = pods.flatMap((pod) => pod.status.containerStatuses.map((one) => [one.ready, one.restartCount]));
    expect(found).toEqual(pods.map(() => [true, 0]));
  });
});

function besides(): void {
  it('a pod learns of a narrow way outside by an ICMP error that was translated back', async () => {
    const { near } = stage.places;
    expect(await near.ask({ do: 'tcp', host: narrowAddress, port: echoPort, count: 1, bytes: 100_000 })).toMatchObject({
      answered: 1,
    });
    expect(await learnedMtu(near, narrowAddress)).toBe(narrowMtu);
  });

  it('a host outside learns how narrow the way to a pod is', async () => {
    const { near, stranger } = stage.places;
    const order = { do: 'udp', host: near.address, port: echoPort, count: 1, bytes: 1460 } as const;
    // The first datagram is the one that is told to be too big.
    await stranger.ask(order);
    expect(await stranger.ask({ ...order, count: 10 })).toMatchObject({ answered: 10, errors: [] });
    expect(await learnedMtu(stranger, near.address)).toBe(1450);
  });

  it('traceroute shows what the stack routes, and pods as one hop', async () => {
    const { near, far, stranger, 'near-node': node } = stage.places;
    expect(await hops(near, stranger.address)).toEqual([node.address, stranger.address]);
    expect(await hops(near, far.address)).toEqual([far.address]);
    expect(await hops(node, far.address)).toEqual([far.address]);
  });

  it('ARP, multicast and IPv6 are dropped and counted, in peace', async () => {
    const { near, far } = stage.places;
    const names = ['drop_from_pod_arp', 'drop_from_pod_multicast', 'drop_from_pod_ipv6'];
    const before = await Promise.all(names.map((name) => packetsAt(near, name)));
    const arp = await near.run(['busybox', 'arping', '-c', '3', '-w', '3', '-I', 'eth0', '10.244.0.1']);
    expect(arp.stdout).toContain('Received 0 response');
    const cast = { do: 'cast', port: 5353, count: 3, bytes: 100 } as const;
    expect(await near.ask({ ...cast, host: '224.0.0.251' })).toMatchObject({ answered: 3 });
    expect(await near.ask({ ...cast, host: 'ff02::1%eth0' })).toMatchObject({ answered: 3 });
    const after = await Promise.all(names.map((name) => packetsAt(near, name)));
    for (const [place, count] of after.entries()) expect(count - (before[place] ?? 0)).toBeGreaterThanOrEqual(3);
    const order = { do: 'udp', host: far.address, port: echoPort, count: 10, bytes: 100 } as const;
    expect(await near.ask(order)).toMatchObject({ answered: 10 });
  });

  it.each([
    ['to it', 'near', 'limited'],
    ['from it', 'limited', 'near'],
    ['to it on its node', 'far', 'limited'],
    ['from it on its node', 'limited', 'far'],
  ] as const)('a pod with a bandwidth limit is held to it: %s', async (_title, from, to) => {
    // From the first second on, though containerd asks for a burst of half a gigabyte.
    const [bytes, burstBytes] = [8_000_000, 100_000];
    const host = stage.places[to].address;
    const { answered, elapsedMs } = await stage.places[from].ask({ do: 'push', host, port: sinkPort, count: 1, bytes });
    expect(answered).toBe(1);
    const leastMs = ((bytes - burstBytes) / limitBytesPerSecond) * 1000;
    expect(elapsedMs).toBeGreaterThan(leastMs * 0.9);
    // Without a limit it takes 20 ms; a busy machine may be slow, but a limit of a tenth would be another limit.
    expect(elapsedMs).toBeLessThan(leastMs * 10);
  });
}
