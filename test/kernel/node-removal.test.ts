// SPDX-License-Identifier: Apache-2.0
// What `fast-ctl uninstall` asks an agent for: nothing of Fast is left on the node, and what others have there stays.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Netns, tcxChain } from 'ebpf-native';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { installCni } from '../../src/node/cni-install.ts';
import { openHost } from '../../src/node/host.ts';
import { removeFromNode } from '../../src/node/removal.ts';
import { AgentNode, endpointOf, inside, netnsPath, one, outsideDown, outsideUp, two } from './agent-node.ts';
import { record } from './memory-records.ts';

let node: AgentNode;
const folder = mkdtempSync(join(tmpdir(), 'fast-removal-'));
const cni = {
  source: join(folder, 'source'),
  binFolder: join(folder, 'bin'),
  confFolder: join(folder, 'net.d'),
  socket: join(folder, 'run/agent.sock'),
};

beforeAll(async () => {
  await outsideUp();
  node = await AgentNode.up(one, [endpointOf(one), endpointOf(two, ['10.244.10.9'])], { mode: 'direct' });
});

afterAll(async () => {
  await node?.down();
  outsideDown();
  rmSync(folder, { recursive: true });
});

const host = (...argv: string[]): string => inside('one', ...argv);
const links = (): string[] =>
  (JSON.parse(host('ip', '-j', 'link')) as Array<{ ifname: string }>).map((link) => link.ifname).toSorted();

/** All that the node's kernel holds and that could be ours. */
function remains(): string {
  const routes = host('ip', 'route', 'show', 'table', 'all').split('\n');
  return [
    ...links().filter((name) => name !== 'lo' && name !== 'up0'),
    ...routes.filter((line) => line.includes('10.244.') || line.includes('fast')),
    host('nft', 'list', 'tables'),
    ...(existsSync(node.pinFolder) ? readdirSync(node.pinFolder) : []),
  ]
    .filter((line) => line.trim() !== '')
    .join('\n')
    .trim();
}

/** How many programs hang on the uplink, where mode direct has one of ours. */
function onUplink(): number {
  const [uplink] = JSON.parse(host('ip', '-j', 'link', 'show', 'up0')) as [{ ifindex: number }];
  const netns = Netns.open(netnsPath('one'));
  const { programs } = netns.run(() => tcxChain(uplink.ifindex, 'ingress'));
  netns.close();
  return programs.length;
}

const remove = () =>
  removeFromNode({ host: openHost(Netns.open(netnsPath('one'))), pinFolder: node.pinFolder, cni, hostRun: folder });

describe('taking Fast off a node', () => {
  it('leaves no wire, device, route, rule, pin or file of it, and everything of others', async () => {
    node.sandbox('p1');
    node.records.put(record('10.244.10.0', 'p1'));
    await node.add('p1', 'p1');
    mkdirSync(cni.source);
    for (const name of ['fast-cni', 'portmap', 'bandwidth']) writeFileSync(join(cni.source, name), 'a plugin');
    mkdirSync(cni.binFolder);
    mkdirSync(cni.confFolder);
    writeFileSync(join(cni.binFolder, 'bridge'), 'of another');
    writeFileSync(join(cni.confFolder, '87-other.conflist'), 'of another');
    installCni(cni);
    host('ip', 'route', 'add', '192.0.2.0/24', 'dev', 'up0');
    host('nft', 'add', 'table', 'ip', 'other');
    expect(remains()).toContain('fast_vxlan');
    expect(onUplink()).toBe(1);
    // As the agent does: its descriptors of the links stay open until its process ends.
    await node.stop();

    expect(await remove()).toEqual([]);

    expect(remains()).toBe('table ip other');
    expect(onUplink()).toBe(0);
    expect(readdirSync(cni.binFolder)).toEqual(['bridge']);
    expect(readdirSync(cni.confFolder)).toEqual(['87-other.conflist']);
    expect(host('ip', 'route')).toContain('192.0.2.0/24 dev up0');
  });

  it('finds nothing to do the second time', async () => {
    expect(await remove()).toEqual([]);
  });

  it('goes on behind what cannot go, and names it', async () => {
    mkdirSync(join(cni.confFolder, '10-fast.conflist'));
    host('ip', 'link', 'add', 'fast_vxlan', 'type', 'veth', 'peer', 'name', 'other');
    expect(await remove()).toEqual([expect.stringMatching(/^CNI files: .*10-fast\.conflist/)]);
    expect(links()).toEqual(['lo', 'up0']);
    rmSync(join(cni.confFolder, '10-fast.conflist'), { recursive: true });
  });
});
