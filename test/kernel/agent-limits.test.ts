// SPDX-License-Identifier: Apache-2.0
// The wire of a pod with a bandwidth limit: the reference plugin finds room for its queues, and all of the pod's traffic
// takes the stack, which passes them.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { BpfLink, Netns, SysError, tcxChain } from 'ebpf-native';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { buildCniPlugins } from '../../scripts/build-cni-plugins.ts';
import { buildFolder } from '../../scripts/steps.ts';
import type { Attachment } from '../../src/protocol/messages.ts';
import { inside, insideArguments, netnsPath, one, ping } from './agent-node.ts';
import { node, useNode } from './bench.ts';
import { record } from './memory-records.ts';

useNode();
beforeAll(buildCniPlugins, 120_000);

// The plugin's own devices stay, under names made of the sandboxes': each test has sandboxes of its own.
afterEach(() => node.clear());

async function addLimited(sandbox: string, address: string): Promise<Attachment> {
  node.records.put(record(address, sandbox));
  node.sandbox(sandbox);
  const response = await node.wiring.attachments.add(
    node.request('ADD', sandbox, sandbox, { hasBandwidthLimit: true }),
  );
  if (!response.ok || response.result === undefined) throw new Error(JSON.stringify(response));
  return response.result;
}

/** Runs the plugin as a runtime does after fast-cni; its failure is an exception with its words. */
function limit(command: 'ADD' | 'CHECK', sandbox: string, { hostInterface, address }: Attachment): void {
  const prevResult = {
    cniVersion: '1.0.0',
    interfaces: [{ name: hostInterface }, { name: 'eth0', sandbox: netnsPath(sandbox) }],
    ips: [{ address: `${address}/32`, interface: 1 }],
  };
  const bandwidth = { ingressRate: 8_000_000, ingressBurst: 800_000, egressRate: 8_000_000, egressBurst: 800_000 };
  const configuration = {
    cniVersion: '1.0.0',
    name: 'fast',
    type: 'fast-bandwidth',
    prevResult,
    runtimeConfig: { bandwidth },
  };
  const env = {
    ...process.env,
    CNI_COMMAND: command,
    CNI_CONTAINERID: `container-${sandbox}`,
    CNI_NETNS: netnsPath(sandbox),
    CNI_IFNAME: 'eth0',
    CNI_PATH: '/opt/cni/bin',
  };
  const argv = insideArguments('one', join(buildFolder, 'cni-plugins/bandwidth'));
  execFileSync('ip', argv, { env, input: JSON.stringify(configuration), encoding: 'utf8' });
}

const qdiscs = (device: string): string => inside('one', 'tc', 'qdisc', 'show', 'dev', device);
const limitedNames = (): string[] => {
  const folder = join(node.pinFolder, 'wires');
  return existsSync(folder) ? readdirSync(folder) : [];
};

/** How many links hang on a host veth. */
function programsOn(device: string): number {
  const [link] = JSON.parse(inside('one', 'ip', '-j', 'link', 'show', device)) as [{ ifindex: number }];
  const netns = Netns.open(netnsPath('one'));
  const { programs } = netns.run(() => tcxChain(link.ifindex, 'ingress'));
  netns.close();
  return programs.length;
}

describe('a pod with a bandwidth limit', () => {
  it('has room on its host veth for the qdiscs of the plugin, which found clsact in their place', async () => {
    const attachment = await addLimited('a1', '10.244.10.0');
    expect(qdiscs(attachment.hostInterface)).not.toContain('clsact');
    limit('ADD', 'a1', attachment);
    expect(qdiscs(attachment.hostInterface)).toMatch(/qdisc tbf[\s\S]*qdisc ingress/);
    limit('CHECK', 'a1', attachment);
  });

  it('takes the stack both ways, and is reached', async () => {
    const limited = await addLimited('b1', '10.244.10.0');
    limit('ADD', 'b1', limited);
    node.records.put(record('10.244.10.1', 'b2'));
    node.sandbox('b2');
    const other = await node.add('b2', 'b2');
    // Routed by the node, so one hop less.
    expect(ping('b1', other.address)).toEqual({ received: 5, ttls: [63] });
    expect(ping('b2', limited.address)).toEqual({ received: 5, ttls: [63] });
  });

  it('is known for one by a restarted agent, whose program takes the place of the old one', async () => {
    const attachment = await addLimited('c1', '10.244.10.0');
    limit('ADD', 'c1', attachment);
    await node.stop();
    await node.start();
    expect(node.wiring.book.list()).toMatchObject([{ interface: attachment.hostInterface, isLimited: true }]);
    expect(qdiscs(attachment.hostInterface)).not.toContain('clsact');
    expect(ping('c1', one.nodeAddress).received).toBe(5);
    const prevResult = {
      interfaces: [{ name: 'eth0', sandbox: netnsPath('c1') }],
      ips: [{ address: '10.244.10.0/32', interface: 0 }],
    };
    const check = await node.wiring.attachments.check(node.request('CHECK', 'c1', 'c1', { prevResult }));
    expect(check).toEqual({ ok: true });
  });

  it('keeps its program and its mark when DEL and ADD of one sandbox come right behind each other', async () => {
    const first = await addLimited('e1', '10.244.10.0');
    expect(await node.wiring.attachments.del(node.request('DEL', 'e1', 'e1'))).toEqual({ ok: true });
    const again = await node.wiring.attachments.add(node.request('ADD', 'e1', 'e1', { hasBandwidthLimit: true }));
    expect(again).toMatchObject({ ok: true, result: { hostInterface: first.hostInterface } });
    await node.wiring.remover.settled();
    expect([limitedNames(), programsOn(first.hostInterface)]).toEqual([[first.hostInterface], 1]);
  });

  it('gets program and mark again when somebody removed its pin', async () => {
    const attachment = await addLimited('f1', '10.244.10.0');
    limit('ADD', 'f1', attachment);
    rmSync(join(node.pinFolder, 'wires', attachment.hostInterface));
    await node.compare();
    expect([limitedNames(), programsOn(attachment.hostInterface)]).toEqual([[attachment.hostInterface], 1]);
    expect(node.wiring.book.list()).toMatchObject([{ isLimited: true }]);
  });

  it('is told below kernel 6.6 why it cannot start, and what helps', async () => {
    const attach = vi.spyOn(BpfLink, 'attachTcx').mockImplementation(() => {
      throw new SysError('BPF_LINK_CREATE', 22);
    });
    node.pod('g1', '10.244.10.0');
    const request = node.request('ADD', 'g1', 'g1', { hasBandwidthLimit: true });
    const response = await node.wiring.attachments.add(request);
    attach.mockRestore();
    const msg = expect.stringMatching(/bandwidth limit needs kernel 6\.6 .*egress-bandwidth off the pod/);
    expect(response).toMatchObject({ ok: false, code: 102, msg });
  });

  it('leaves no pin when it goes, nor when its namespace went while the agent was away', async () => {
    const first = await addLimited('d1', '10.244.10.0');
    expect(limitedNames()).toEqual([first.hostInterface]);
    await node.del('d1', 'd1');
    expect(limitedNames()).toEqual([]);

    await addLimited('d2', '10.244.10.1');
    await node.stop();
    node.removeSandbox('d2');
    await node.start();
    expect(limitedNames()).toEqual([]);
  });
});
