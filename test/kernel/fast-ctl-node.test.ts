// SPDX-License-Identifier: Apache-2.0
// fast-ctl as a process on a node that the agent's own parts have wired: what it says is what the kernel does.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildFolder } from '../../scripts/steps.ts';
import { AgentNode, endpointOf, inside, one, outsideAddress, outsideDown, outsideUp, ping, two } from './agent-node.ts';
import { type Ended, fastCtlOn } from './fast-ctl-process.ts';
import { record } from './memory-records.ts';

const pods = { a: '10.244.10.0', b: '10.244.10.1', far: '10.244.10.2' };
let node: AgentNode;
let other: AgentNode;

/** In the node's namespace, as the agent's pod is. */
function fastCtl(...args: string[]): Promise<Ended> {
  return fastCtlOn('one', node.pinFolder, args);
}

type Fields = Record<string, unknown>;

async function rows(...args: string[]): Promise<Fields[]> {
  return JSON.parse((await fastCtl(...args, '-o', 'json')).stdout) as Fields[];
}

const objectFile = join(buildFolder, 'fast.bpf.o');

const lineOf = ({ kind, where, what }: Fields): string => `${String(kind)} ${String(where)}: ${String(what)}`;

async function trace(from: string, to: string, ...more: string[]): Promise<string[]> {
  const steps = await rows('trace', from, to, '--bpf-object', objectFile, ...more);
  // There is no API server here that could be asked what is beyond.
  return steps.filter(({ kind }) => kind !== 'node').map(lineOf);
}

async function addPod(to: AgentNode, name: keyof typeof pods, nodeName: string): Promise<void> {
  to.sandbox(name);
  to.records.put(record(pods[name], name, { nodeName }));
  await to.add(name, name);
}

beforeAll(async () => {
  await outsideUp();
  const endpoints = [endpointOf(one, [pods.a, pods.b]), endpointOf(two, [pods.far])];
  node = await AgentNode.up(one, endpoints);
  other = await AgentNode.up(two, endpoints);
  await addPod(node, 'a', 'one');
  await addPod(node, 'b', 'one');
  await addPod(other, 'far', 'two');
  await node.compare();
  await other.compare();
});

afterAll(async () => {
  await node?.down();
  await other?.down();
  outsideDown();
});

describe('fast-ctl links', () => {
  it('shows each program in its place', async () => {
    const { code, stdout } = await fastCtl('links');
    expect({ code, states: stdout.match(/in place$/gm)?.length }).toEqual({ code: 0, states: 4 });
    expect(
      (await rows('links')).map(
        ({ program, direction, hook }) => `${String(program)} ${String(direction)} ${String(hook)}`,
      ),
    ).toEqual([
      'from_overlay ingress tcx',
      'to_overlay egress tcx',
      'from_pod ingress filter',
      'from_pod ingress filter',
    ]);
  });

  it('misses one that somebody took away, and ends with 1', async () => {
    const [veth = ''] = node.veths();
    inside('one', 'tc', 'filter', 'del', 'dev', veth, 'ingress');
    const { code, stdout } = await fastCtl('links');
    expect(code).toBe(1);
    expect(stdout).toMatch(new RegExp(`^${veth} +ingress +from_pod +missing$`, 'm'));
    await node.compare();
    expect((await fastCtl('links')).code).toBe(0);
  });
});

describe('fast-ctl trace', () => {
  it('follows a packet into another pod of the node', async () => {
    const steps = await trace(pods.a, pods.b);
    expect(steps.map((step) => step.split(' ')[0])).toEqual(['pod', 'program', 'entry', 'end']);
    expect(steps[1]).toMatch(
      /^program fast\w+ ingress: from_pod \(id \d+\): redirect, to a pod of this node, by the fast path$/,
    );
    expect(steps[3]).toContain('past the stack');
  });

  it('follows a packet to another node, with the route that its tunnel takes', async () => {
    const steps = await trace(pods.a, pods.far, '--protocol', 'udp', '--port', '53');
    expect(steps[2]).toBe(`entry cluster_pod_ips: ${pods.far} is held by the node ${two.nodeAddress}`);
    expect(steps[3]).toBe(`route up0: to ${two.nodeAddress} in a VXLAN packet by fast_vxlan from ${one.nodeAddress}`);
    expect(steps.at(-1)).toBe(`end up0: leaves for the node ${two.nodeAddress}`);
  });

  it('follows a packet through the stack: to the outside, and to the node itself', async () => {
    const out = await trace(pods.a, outsideAddress);
    expect(out[1]).toContain('next, to no pod: the stack routes it');
    expect(out[2]).toBe(
      `netfilter the stack: sees it first, and rewrites a Service's address; the next route is to ${outsideAddress}, not rewritten`,
    );
    expect(out.slice(3).filter((step) => !step.startsWith('service'))).toEqual([
      `route up0: unicast to ${outsideAddress}`,
      `masquerade table ip fast: ${pods.a} becomes ${one.nodeAddress}: no pool has ${outsideAddress}`,
      `end up0: leaves by the stack as ${one.nodeAddress}`,
    ]);
    expect((await trace(pods.a, one.nodeAddress)).at(-1)).toContain("is this node's own address");
  });

  it('says that a destination of masquerade-exclude sees the pod itself, and does not guess at a rule of others', async () => {
    inside('one', 'nft', 'add', 'element', 'ip', 'fast', 'excluded', `{ 172.30.0.0/24 }`);
    const kept = (await trace(pods.a, outsideAddress)).slice(-2);
    expect(kept).toEqual([
      `masquerade table ip fast: none, it stays ${pods.a}: the knob masquerade-exclude has ${outsideAddress}`,
      'end up0: leaves by the stack',
    ]);
    inside('one', 'nft', 'insert', 'rule', 'ip', 'fast', 'postrouting', 'ip', 'ttl', '64', 'accept');
    expect((await trace(pods.a, outsideAddress)).at(-2)).toBe(
      'masquerade table ip fast: not known: the table ip fast has a rule that Fast does not write: ip ttl 64 accept',
    );
    inside('one', 'nft', 'delete', 'table', 'ip', 'fast');
    expect((await trace(pods.a, outsideAddress)).at(-2)).toContain('none, it stays');
    await node.compare();
    expect((await trace(pods.a, outsideAddress)).at(-2)).toContain(`becomes ${one.nodeAddress}`);
  });

  it.each([
    ['on another node', pods.far, /^end up0: leaves for the node /],
    ['on this node', pods.b, /^end fast\w+: delivered by the stack to the pod behind fast/],
    ['that is no pod', outsideAddress, /^end up0: leaves by the stack as /],
  ])("goes on to the backend that a Service's address is rewritten to: one %s", async (_where, backend, end) => {
    const steps = await trace(pods.a, '10.96.0.10', '--port', '80', '--backend', `${backend}:8080`);
    expect(steps[1]).toContain('next, to no pod: the stack routes it');
    expect(steps[2]).toBe(
      `netfilter the stack: sees it first: kube-proxy's rules rewrite 10.96.0.10:80 to a backend, here to ${backend}:8080`,
    );
    expect(steps.at(-1)).toMatch(end);
  });

  it('goes by the flow that conntrack has: the same question, another way', async () => {
    const flow = ['-s', pods.a, '-d', pods.b, '--sport', '40000', '--dport', '80'];
    const reply = ['-r', pods.b, '-q', pods.a, '--reply-port-src', '80', '--reply-port-dst', '40000'];
    inside('one', 'conntrack', '-I', '-p', 'tcp', ...flow, ...reply, '--state', 'ESTABLISHED', '-t', '60');
    expect((await trace(pods.a, pods.b))[1]).toContain('next, conntrack knows the flow: the stack has it');
    expect((await trace(pods.a, pods.b, '--source-port', '40001'))[1]).toContain('redirect');
    inside('one', 'conntrack', '-D', '-s', pods.a);
  });

  it('says where a packet for an address that nobody holds ends', async () => {
    const steps = await trace(pods.a, '10.244.10.63');
    expect(steps.slice(-2)[0]).toMatch(
      /^program fast_vxlan egress: to_overlay \(id \d+\): drop, no other node holds the destination$/,
    );
    expect(steps.at(-1)).toContain('dropped: no other node holds the destination');
  });

  it('counts nothing: its packets were not there', async () => {
    // A pod's own kernel asks for IPv6 routers whenever it likes.
    const counters = async () =>
      (await rows('maps', 'list', 'counters')).filter(({ name }) => name !== 'drop_from_pod_ipv6');
    const before = await counters();
    await trace(pods.a, pods.b);
    expect(await counters()).toEqual(before);
  });

  it.each([
    [
      ['10.244.10.300', pods.b],
      '"10.244.10.300" is neither an IPv4 address such as 10.244.10.0 nor a pod as NAMESPACE/NAME',
    ],
    [[pods.far, pods.b], '10.244.10.2 has no entry in local_pod_ips: no pod of this node has it; add --node'],
    [[pods.a, pods.b, '--port', '0'], 'give a port from 1 to 65535'],
  ])('%j is answered by what is wrong', async (words, sentence) => {
    const ended = await fastCtl('trace', ...words);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(sentence);
  });
});

describe('fast-ctl drops', () => {
  it('shows whose packets a reason ended', async () => {
    expect((await fastCtl('drops', '--reason', 'spoofed')).stdout).toBe('nothing was dropped\n');
    inside('a', 'ip', 'addr', 'add', '10.9.9.9/32', 'dev', 'lo');
    expect(() => inside('a', 'busybox', 'ping', '-c', '1', '-W', '1', '-I', '10.9.9.9', pods.b)).toThrow();
    const [spoofed] = await rows('drops', '--reason', 'spoofed');
    expect(spoofed).toMatchObject({ program: 'from_pod', packets: 1, packet: `10.9.9.9 → ${pods.b} ICMP` });
    const [last] = await rows('drops', '--last', '5', '--reason', 'spoofed');
    expect(last).toMatchObject({ source: '10.9.9.9', protocol: 1, device: expect.stringMatching(/^fast/) as string });
    expect(Math.abs(Date.parse(String(last?.['at'])) - Date.now())).toBeLessThan(60_000);
  });
});

describe('fast-ctl monitor', () => {
  it('counts what passes while it looks', async () => {
    const looking = fastCtl('monitor', '--count', '1', '--interval', '2s', '-o', 'json');
    const pinging = setInterval(() => ping('a', pods.b, 5), 100);
    const { stdout } = await looking;
    clearInterval(pinging);
    const { rates } = JSON.parse(stdout) as { rates: Fields[] };
    expect(rates[0]).toMatchObject({ program: 'from_pod', verdict: 'redirect', reason: 'local' });
  });
});

describe('fast-ctl maps', () => {
  it('changes a field, and the agent mends it', async () => {
    const [was] = await rows('maps', 'list', 'local_dev');
    const ended = await fastCtl('maps', 'set', 'local_dev', 'overlayMtu=1000', '-o', 'json');
    expect(JSON.parse(ended.stdout)).toEqual({ ...was, overlayMtu: 1000 });
    expect(ended.stderr).toContain('within half a minute, it undoes this');
    await node.compare();
    expect(await rows('maps', 'get', 'local_dev')).toEqual(was);
  });

  it('switches the fast path off until a person switches it on', async () => {
    const ended = await fastCtl('maps', 'set', 'local_dev', 'fastPath=false');
    expect(ended.stderr).toContain('the agent keeps this');
    await node.compare();
    expect((await trace(pods.a, pods.b))[1]).toContain('next, the fast path is switched off');
    await fastCtl('maps', 'set', 'local_dev', 'fastPath=true');
    expect((await trace(pods.a, pods.b))[1]).not.toContain('switched off');
  });

  it('writes, shows and deletes an entry', async () => {
    const get = () => fastCtl('maps', 'get', 'cluster_pod_ips', '10.244.10.60', '-o', 'json');
    expect(await get()).toMatchObject({ code: 1, stderr: 'fast-ctl: cluster_pod_ips has no entry 10.244.10.60\n' });
    await fastCtl('maps', 'set', 'cluster_pod_ips', '10.244.10.60', `nodeAddress=${two.nodeAddress}`);
    expect(JSON.parse((await get()).stdout)).toEqual({
      address: '10.244.10.60',
      nodeAddress: two.nodeAddress,
      direct: false,
      adjacent: false,
    });
    expect((await fastCtl('maps', 'delete', 'cluster_pod_ips', '10.244.10.60')).code).toBe(0);
    expect((await get()).code).toBe(1);
  });

  it.each([
    [['set', 'cluster_pod_ips', '10.244.10.61', 'direct=true'], 'a new entry of cluster_pod_ips needs nodeAddress too'],
    [['set', 'cluster_pod_ips', '10.244.10', 'direct=true'], 'the key is "10.244.10"; write an IPv4 address'],
    [['set', 'local_dev', 'mtu=1400'], 'local_dev has no field "mtu"; the fields of local_dev are vxlanIfindex'],
    [['set', 'local_dev', 'fastPath=yes'], 'fastPath is "yes"; write true or false'],
    [['set', 'local_pod_ips', pods.a, 'podMac=1:2'], 'podMac is "1:2"; it must read like 02:fa:57:00:00:01'],
    [['delete', 'local_dev', '0'], "'local_dev' is invalid for argument 'name'"],
    [['delete', 'local_pod_ips', '10.244.10.61'], 'local_pod_ips has no entry 10.244.10.61'],
  ])('%j changes nothing and says why', async (words, sentence) => {
    const before = await rows('maps', 'list', 'cluster_pod_ips');
    const ended = await fastCtl('maps', ...words);
    expect(ended).toMatchObject({ code: 1, stdout: '' });
    expect(ended.stderr).toContain(sentence);
    expect(await rows('maps', 'list', 'cluster_pod_ips')).toEqual(before);
  });
});
