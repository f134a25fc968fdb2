// SPDX-License-Identifier: Apache-2.0
// Packets as data through the real programs in the real kernel, by BPF_PROG_TEST_RUN: every verdict and every counter.
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { Netns } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { compileBpf } from '../../scripts/build-bpf.ts';
import { buildFolder, root } from '../../scripts/steps.ts';
import { decodeDrops, encodeClusterPod, encodeLocalDev, encodeLocalPod } from '../../src/datapath/codecs.ts';
import { counters } from '../../src/datapath/generated/layout.ts';
import { DatapathObject, type Run, withoutConntrack } from './datapath-object.ts';
import { fromPodCases } from './from-pod-cases.ts';
import { fromUplinkCases } from './from-uplink-cases.ts';
import { fromOverlayCases, toOverlayCases } from './overlay-cases.ts';
import {
  beside,
  besideNode,
  besideOverlay,
  casesOf,
  changing,
  changingNode,
  far,
  hostMac,
  knownFlows,
  limited,
  near,
  other,
  overlay,
  type PacketCase,
  peerNode,
  peerOverlay,
  podMacs,
  type Program,
  service,
  tcp,
} from './packet-cases.ts';
import { mangled, mulberry32 } from './mangled-packets.ts';
import { rounds } from '../share.ts';

/** A million packets take a minute and more on a busy machine. */
const fuzzLimitMs = 600_000;
const packetCases = [...fromPodCases, ...toOverlayCases, ...fromOverlayCases, ...fromUplinkCases];
const namespace = 'fdp-programs';
const addresses = { near, other, limited };
const ifindexes = { near: 0, other: 0, limited: 0 };
const none = {
  vxlanIfindex: 0,
  uplinkIfindex: 0,
  overlayAddress: '0.0.0.0',
  overlayMtu: 0,
  uplinkMtu: 0,
  fastPath: true,
};
const inService = {
  vxlanIfindex: 99,
  uplinkIfindex: 98,
  overlayAddress: overlay,
  overlayMtu: 1450,
  uplinkMtu: 1500,
  fastPath: true,
};
const remotePods = [
  { address: far, nodeAddress: peerNode, direct: false, adjacent: false },
  { address: peerOverlay, nodeAddress: peerNode, direct: false, adjacent: false },
  { address: beside, nodeAddress: besideNode, direct: true, adjacent: true },
  { address: besideOverlay, nodeAddress: besideNode, direct: true, adjacent: true },
  { address: changing, nodeAddress: changingNode, direct: false, adjacent: true },
];
const nodes = { inService, fastPathOff: { ...inService, fastPath: false }, empty: none };

let netns: Netns;
let datapath: DatapathObject;

function ip(...words: string[]): string {
  return execFileSync('ip', words, { encoding: 'utf8' });
}

/** A namespace with one device for each pod of the node, and conntrack entries as kube-proxy's rules would make them. */
function makeNamespace(): void {
  ip('netns', 'add', namespace);
  for (const name of ['near', 'other', 'limited'] as const) {
    ip('-n', namespace, 'link', 'add', name, 'type', 'veth', 'peer', 'name', `${name}-pod`);
    const [link] = JSON.parse(ip('-n', namespace, '-j', 'link', 'show', name)) as Array<{ ifindex: number }>;
    ifindexes[name] = link?.ifindex ?? 0;
  }
  for (const { protocol, client, clientPort, backend } of knownFlows) {
    const original = ['-s', client, '-d', service, '--sport', String(clientPort), '--dport', '80'];
    const reply = ['-r', backend, '-q', client, '--reply-port-src', '8080', '--reply-port-dst', String(clientPort)];
    const state = protocol === 'tcp' ? ['--state', 'ESTABLISHED'] : ['-u', 'ASSURED'];
    const words = ['-I', '-p', protocol, ...original, ...reply, ...state, '-t', '600'];
    execFileSync('ip', ['netns', 'exec', namespace, 'conntrack', ...words], { stdio: 'pipe' });
  }
}

function fill(object: DatapathObject): void {
  for (const name of ['near', 'other', 'limited'] as const) {
    const wire = { address: addresses[name], ifindex: ifindexes[name], podMac: podMacs[name], hostMac };
    object.write('local_pod_ips', encodeLocalPod({ ...wire, stackOnly: name === 'limited' }));
  }
  for (const remote of remotePods) object.write('cluster_pod_ips', encodeClusterPod(remote));
  object.write('local_dev', encodeLocalDev(inService));
}

function runCase(object: DatapathObject, given: PacketCase): Run {
  object.write('local_dev', encodeLocalDev(nodes[given.node ?? 'inService']));
  const ifindex = ifindexes[given.from ?? 'near'];
  const { segmentBytes, tunnel, mark } = given;
  return netns.run(() => object.run(given.program, given.packetIn, { ifindex, segmentBytes, tunnel, mark }));
}

/** Runs packets, and says where the verdicts and the counters tell different stories. */
function disagreement(batch: readonly PacketCase[]): string | undefined {
  const before = datapath.counters();
  const answered = new Map<string, number>();
  netns.run(() => {
    for (const { program, packetIn, tunnel, mark } of batch) {
      const label = `${program} ${datapath.verdict(program, packetIn, { ifindex: ifindexes.near, tunnel, mark })}`;
      answered.set(label, (answered.get(label) ?? 0) + 1);
    }
  });
  const after = datapath.counters();
  for (const { name, program, verdict } of counters) {
    const label = `${program} ${verdict}`;
    const moved = (after.get(name) ?? 0) - (before.get(name) ?? 0);
    if (moved > 0) answered.set(label, (answered.get(label) ?? 0) - moved);
  }
  const wrong = [...answered].filter(([, difference]) => difference !== 0);
  return wrong.length === 0 ? undefined : wrong.map(([label, by]) => `${label} ${by > 0 ? '+' : ''}${by}`).join(', ');
}

beforeAll(async () => {
  if (ip('netns', 'list').includes(namespace)) ip('netns', 'del', namespace);
  makeNamespace();
  netns = Netns.open(`/run/netns/${namespace}`);
  datapath = await DatapathObject.load();
  fill(datapath);
});

afterAll(() => {
  datapath?.close();
  netns?.close();
  ip('netns', 'del', namespace);
});

describe.each<Program>(['from_pod', 'to_overlay', 'from_overlay', 'from_uplink'])('%s', (program) => {
  it.each(packetCases.filter((given) => given.program === program))('$title', (given) => {
    const { verdict, data, counted } = runCase(datapath, given);
    expect({ verdict, counted }).toEqual({ verdict: given.verdict, counted: { [given.counter]: 1 } });
    const macs = given.macsOut ?? given.packetIn.slice(0, 12);
    expect(Buffer.from(data).toString('hex')).toBe(Buffer.from([...macs, ...given.packetIn.slice(12)]).toString('hex'));
  });
});

describe('the programs together', () => {
  it('have a packet for every counter, but for what only a kernel in need refuses', () => {
    const tested = new Set(packetCases.map(({ counter }) => counter));
    const untested = counters.map(({ name }) => name).filter((name) => !tested.has(name));
    expect(untested).toEqual(['drop_from_pod_tunnel_key', 'drop_to_overlay_tunnel_key', 'drop_from_uplink_unwritable']);
  });

  it(
    'count every packet once, whatever it is, and answer with no verdict that is not in the table',
    () => {
      const random = mulberry32(7);
      let left = rounds(1_000_000);
      while (left > 0) {
        const batch = Array.from({ length: Math.min(left, 2000) }, () => mangled(random, packetCases));
        left -= batch.length;
        const differs = disagreement(batch);
        if (differs === undefined) continue;
        const one = batch.find((given) => disagreement([given]) !== undefined);
        expect.fail(`${differs}; first by ${one?.program} with ${Buffer.from(one?.packetIn ?? []).toString('hex')}`);
      }
    },
    fuzzLimitMs,
  );
});

describe('the record of drops', () => {
  const records = () => decodeDrops(datapath.object.map('drops').entries());

  it('shows whose packet it was and why it ended', () => {
    const [spoofed] = fromPodCases.filter(({ counter }) => counter === 'drop_from_pod_spoofed');
    if (spoofed === undefined) throw new Error('no packet is spoofed');
    // The tests before have told of this reason within the interval.
    const told = datapath.object.map('drops_told');
    for (const [key, value] of told.entries()) told.update(key, new Uint8Array(value.length));
    runCase(datapath, spoofed);
    expect(records().at(-1)).toMatchObject({
      program: 'from_pod',
      reason: 'spoofed',
      source: other,
      destination: far,
      protocol: 6,
      sourcePort: 40_000,
      destinationPort: 8080,
      ifindex: ifindexes.near,
      bytes: spoofed.packetIn.length,
    });
    const before = records().at(-1)?.sequence ?? 0;
    for (let sent = 0; sent < 100; sent += 1) runCase(datapath, spoofed);
    expect((records().at(-1)?.sequence ?? 0) - before).toBeLessThan(20);
  });
});

describe('a kernel without the conntrack functions', () => {
  it('loads the programs all the same and gives pod traffic to the stack', async () => {
    const file = join(buildFolder, 'test/no-conntrack.bpf.o');
    await compileBpf(join(root, 'bpf/fast.bpf.c'), file, withoutConntrack);
    const bare = await DatapathObject.load(file);
    fill(bare);
    const run = (program: Program, from: string, to: string) =>
      runCase(bare, casesOf(program, tunnelFor(program)).passes('', '', tcp(from, to)));
    expect(run('from_pod', near, other)).toMatchObject({ verdict: 'next', counted: { from_pod_fast_path_off: 1 } });
    expect(run('from_overlay', far, near)).toMatchObject({
      verdict: 'next',
      counted: { from_overlay_fast_path_off: 1 },
    });
    expect(run('from_pod', other, far)).toMatchObject({ verdict: 'drop', counted: { drop_from_pod_spoofed: 1 } });
    bare.close();
  });
});

function tunnelFor(program: Program): Pick<PacketCase, 'tunnel'> {
  return program === 'from_overlay' ? { tunnel: { source: peerNode, vni: 1 } } : {};
}
