// SPDX-License-Identifier: Apache-2.0
// The rules of the CNI specification that bind a plugin, one row each, with the versions that have the rule. The section
// names are those of 1.1.0. Rules for runtimes, for IPAM plugins and for plugins that call others bind fast-cni to nothing.
import { expect } from 'vitest';
import { type AgentNode, inside, netnsPath } from './agent-node.ts';
import { record } from './memory-records.ts';
import { type CniFailure, type Ended, failureOf, type Runtime } from './runtime.ts';

export type SpecVersion = '0.3.1' | '0.4.0' | '1.0.0' | '1.1.0';
export const specVersions: readonly SpecVersion[] = ['0.3.1', '0.4.0', '1.0.0', '1.1.0'];

export interface Bed {
  readonly node: AgentNode;
  readonly runtime: Runtime;
  readonly version: SpecVersion;
}

export interface Rule {
  readonly section: string;
  readonly rule: string;
  /** The first version that has it; 0.3.1 without. */
  readonly since?: SpecVersion;
  /** The last version that has it. */
  readonly until?: SpecVersion;
  readonly holds: (bed: Bed) => Promise<void> | void;
}

interface Result {
  cniVersion: string;
  interfaces: Array<{ name: string; mac?: string; mtu?: number; sandbox?: string }>;
  ips: Array<{ version?: string; address: string; gateway?: string; interface?: number }>;
  routes: Array<{ dst: string; gw?: string; scope?: number }>;
  dns: object;
}

/** A pod that has its record and its sandbox, and no wire yet. */
export function pod(node: AgentNode, name = 'p1', address = '10.244.10.0'): void {
  node.pod(name, address);
}

async function added({ node, runtime, version }: Bed): Promise<Result> {
  pod(node);
  return (await runtime.succeed('ADD', { version })) as unknown as Result;
}

async function fails(ended: Promise<Ended>, code: number, msg: string): Promise<CniFailure> {
  const failure = failureOf(await ended);
  expect(failure).toMatchObject({ code, msg: expect.stringContaining(msg) });
  return failure;
}

const linksOf = (name: string): string => inside(name, 'ip', '-o', 'link');

/** What `prevResult` a runtime hands to the plugin that is not the first of its list. */
const former = (version: SpecVersion) => ({
  cniVersion: version,
  interfaces: [{ name: 'dummy0', sandbox: '/run/netns/elsewhere' }],
  ips: [{ ...(version < '1.0.0' ? { version: '4' } : {}), address: '192.0.2.1/32', interface: 0 }],
  routes: [{ dst: '198.51.100.0/24' }],
  dns: { nameservers: ['192.0.2.53'] },
});

const configurationRules: Rule[] = [
  {
    section: '1, Plugin configuration objects',
    rule: 'keys that only others know reach the plugin and do not disturb it',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const configuration = { ipMasq: true, args: { cni: {} }, 'example.com/colour': 'red', capabilities: { x: true } };
      await runtime.succeed('ADD', { version, configuration });
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'a field that is known and cannot be honoured is error 2 with its key and value',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const configuration = { ipam: { type: 'host-local' } };
      const failure = await fails(runtime.run('ADD', { version, configuration }), 2, '"ipam"');
      expect(failure.msg).toContain('host-local');
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'cniVersion, name and type are required',
    holds: async ({ runtime, version }) => {
      for (const key of ['cniVersion', 'name', 'type']) {
        await fails(runtime.run('ADD', { version, configuration: { [key]: undefined } }), 7, `"${key}" is missing`);
      }
    },
  },
  {
    section: '1, Network configuration lists',
    rule: 'a network has a name of letters, digits, "_", "." and "-" that begins with a letter or digit',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('ADD', { version, configuration: { name: '-fast' } }), 7, '"name" is "-fast"');
    },
  },
  {
    section: '1, Plugin configuration objects',
    rule: 'dns is given back where nobody else knows better',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const dns = { nameservers: ['192.0.2.53'] };
      expect((await runtime.succeed('ADD', { version, configuration: { dns } }))?.['dns']).toEqual(dns);
    },
  },
];

const environmentRules: Rule[] = [
  {
    section: '2, Parameters',
    rule: 'a container id begins with a letter or digit and has no other signs than "_", "." and "-"',
    holds: async ({ runtime, version }) => {
      for (const bad of ['', '-c', '_c', '.c', 'c d', 'c/d']) {
        for (const command of ['ADD', 'DEL']) {
          const variables = { CNI_CONTAINERID: bad };
          await fails(runtime.run(command, { version, variables }), 4, 'CNI_CONTAINERID');
        }
      }
    },
  },
  {
    section: '2, Parameters',
    rule: 'an interface name that cannot be used is an error',
    holds: async ({ runtime, version }) => {
      for (const bad of ['', '.', '..', 'a/b', 'a:b', 'a b', 'sixteen-letters-']) {
        await fails(runtime.run('ADD', { version, variables: { CNI_IFNAME: bad } }), 4, 'CNI_IFNAME');
      }
    },
  },
  {
    section: '2, Parameters',
    rule: 'error 4 names the variables that are missing',
    holds: async ({ runtime, version }) => {
      const variables = { CNI_CONTAINERID: undefined, CNI_NETNS: undefined, CNI_IFNAME: undefined };
      const { msg } = await fails(runtime.run('ADD', { version, variables }), 4, 'CNI_CONTAINERID is missing');
      expect(msg).toContain('CNI_NETNS is missing');
      expect(msg).toContain('CNI_IFNAME is missing');
    },
  },
  {
    section: '2, Parameters',
    rule: 'CNI_PATH is not needed',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      await runtime.succeed('ADD', { version, variables: { CNI_PATH: undefined } });
    },
  },
  {
    section: '2, Parameters',
    rule: 'a command that there is not is error 4',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('PAUSE', { version }), 4, 'CNI_COMMAND');
    },
  },
  {
    section: '2, CNI operations',
    rule: 'a command that came with a later version is error 1',
    until: '1.0.0',
    holds: async ({ runtime, version }) => {
      const unknown = version === '0.3.1' ? ['CHECK', 'STATUS', 'GC'] : ['STATUS', 'GC'];
      for (const command of unknown) await fails(runtime.run(command, { version }), 1, `${command} needs cniVersion`);
    },
  },
];

const addRules: Rule[] = [
  {
    section: '2, ADD',
    rule: 'the interface CNI_IFNAME is in the namespace CNI_NETNS afterwards',
    holds: async (bed) => {
      pod(bed.node);
      await bed.runtime.succeed('ADD', { version: bed.version, variables: { CNI_IFNAME: 'net1' } });
      expect(linksOf('p1')).toContain(' net1@');
    },
  },
  {
    section: '2, ADD',
    rule: 'success is exit code 0, and a result on stdout and nothing beside it',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const { code, stdout, stderr } = await runtime.run('ADD', { version });
      expect([code, stderr]).toEqual([0, '']);
      expect(JSON.parse(stdout)).toHaveProperty('ips');
    },
  },
  {
    section: '2, ADD',
    rule: 'an interface of that name is an error, and stays as it is',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      inside('p1', 'ip', 'link', 'add', 'eth0', 'type', 'bridge');
      const before = linksOf('p1');
      await fails(runtime.run('ADD', { version }), 104, 'eth0');
      expect([linksOf('p1'), node.veths()]).toEqual([before, []]);
    },
  },
  {
    section: '2, ADD',
    rule: 'prevResult is passed on, extended by what was made',
    holds: async ({ node, runtime, version }) => {
      pod(node);
      const prevResult = former(version);
      const result = (await runtime.succeed('ADD', { version, configuration: { prevResult } })) as unknown as Result;
      expect(result.interfaces.map((one) => one.name)).toEqual(['dummy0', node.veths()[0], 'eth0']);
      expect(result.ips.map((one) => [one.address, one.interface])).toEqual([
        ['192.0.2.1/32', 0],
        ['10.244.10.0/32', 2],
      ]);
      expect(result.routes[0]).toEqual({ dst: '198.51.100.0/24' });
      expect(result.dns).toEqual(prevResult.dns);
    },
  },
  {
    section: '2, ADD',
    rule: 'a failed ADD leaves nothing in the sandbox and on the node',
    holds: async ({ node, runtime, version }) => {
      node.sandbox('p1');
      node.records.put(record('10.244.10.0', 'p1', { gateway: '10.244.0.999' }));
      const before = [linksOf('p1'), linksOf('one')];
      await fails(runtime.run('ADD', { version }), 102, '10.244.0.999');
      expect([linksOf('p1'), linksOf('one')]).toEqual(before);
    },
  },
];

const resultRules: Rule[] = [
  {
    section: '5, ADD Success',
    rule: 'cniVersion is that of the configuration',
    holds: async (bed) => expect((await added(bed)).cniVersion).toBe(bed.version),
  },
  {
    section: '5, ADD Success',
    rule: 'interfaces have name and mac, and a sandbox where they are in one',
    holds: async (bed) => {
      const { interfaces } = await added(bed);
      const [host, inPod] = interfaces;
      expect(interfaces).toHaveLength(2);
      expect([host?.name, host?.sandbox]).toEqual([bed.node.veths()[0], undefined]);
      expect([inPod?.name, inPod?.sandbox]).toEqual(['eth0', netnsPath('p1')]);
      expect(linksOf('p1')).toContain(`link/ether ${inPod?.mac}`);
      expect(linksOf('one')).toContain(`link/ether ${host?.mac}`);
    },
  },
  {
    section: '5, ADD Success',
    rule: 'interfaces have their mtu',
    since: '1.1.0',
    holds: async (bed) => expect((await added(bed)).interfaces.map((one) => one.mtu)).toEqual([1450, 1450]),
  },
  {
    section: '5, ADD Success',
    rule: 'fields of a later version are not there',
    until: '1.0.0',
    holds: async (bed) => {
      const { interfaces, routes } = await added(bed);
      expect(
        [...interfaces.map((one) => one.mtu), ...routes.map((one) => one.scope)].every((x) => x === undefined),
      ).toBe(true);
    },
  },
  {
    section: '5, ADD Success',
    rule: 'an address is in CIDR notation, with its gateway and the index of its interface',
    holds: async (bed) => {
      const { ips } = await added(bed);
      expect(ips).toMatchObject([{ address: '10.244.10.0/32', gateway: '10.244.0.1', interface: 1 }]);
      expect(inside('p1', 'ip', '-o', 'addr', 'show', 'eth0')).toContain('10.244.10.0/32');
    },
  },
  {
    section: '5, IP (0.3.0 to 0.4.0)',
    rule: 'an address says its family',
    until: '0.4.0',
    holds: async (bed) => expect((await added(bed)).ips[0]?.version).toBe('4'),
  },
  {
    section: '5, IP (1.0.0, changes)',
    rule: 'an address does not say its family any more',
    since: '1.0.0',
    holds: async (bed) => expect((await added(bed)).ips[0]).not.toHaveProperty('version'),
  },
  {
    section: '5, ADD Success',
    rule: 'the routes that are told are there',
    holds: async (bed) => {
      const { routes } = await added(bed);
      expect(routes.map(({ dst, gw }) => [dst, gw])).toEqual([
        ['10.244.0.1/32', undefined],
        ['0.0.0.0/0', '10.244.0.1'],
      ]);
      expect(inside('p1', 'ip', 'route')).toMatch(/^default via 10\.244\.0\.1 dev eth0.*\n10\.244\.0\.1 dev eth0/);
    },
  },
  {
    section: '5, Error',
    rule: 'an error is exit code 1 and cniVersion, code, msg and details as JSON on stdout',
    holds: async ({ runtime, version }) => {
      const failure = failureOf(await runtime.run('ADD', { version, variables: { CNI_NETNS: undefined } }));
      expect(Object.keys(failure)).toEqual(['cniVersion', 'code', 'msg', 'details']);
      expect(failure.cniVersion).toBe(version);
    },
  },
  {
    section: '5, Error',
    rule: 'codes 1 to 99 are the specification’s: 6 for what is no JSON, 7 for a bad value, 1 for a bad version',
    holds: async ({ runtime, version }) => {
      await fails(runtime.run('ADD', { version, stdin: '{' }), 6, 'not JSON');
      await fails(runtime.run('ADD', { version, configuration: { timeoutSeconds: 0 } }), 7, 'timeoutSeconds');
      await fails(runtime.run('ADD', { version, configuration: { cniVersion: '0.2.0' } }), 1, '"0.2.0"');
    },
  },
  {
    section: '5, VERSION',
    rule: 'VERSION needs neither other variables nor a whole configuration, and lists what is served',
    holds: async ({ runtime, version }) => {
      const variables = Object.fromEntries(
        ['CNI_CONTAINERID', 'CNI_NETNS', 'CNI_IFNAME', 'CNI_ARGS', 'CNI_PATH'].map((name) => [name, undefined]),
      );
      const answer = await runtime.succeed('VERSION', { variables, stdin: JSON.stringify({ cniVersion: version }) });
      expect(answer).toEqual({ cniVersion: version, supportedVersions: specVersions });
    },
  },
];

export const makingRules: readonly Rule[] = [...configurationRules, ...environmentRules, ...addRules, ...resultRules];
